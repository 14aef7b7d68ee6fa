//! The texts that the mini-program platform was seen to send with its codes.

/// The text the platform sends with a code. Clients must not match on it, so an unlisted code
/// gets a neutral one.
pub(crate) fn usual_text(errcode: i64) -> &'static str {
    match errcode {
        0 => "ok",
        40001 => {
            "invalid credential, access_token is invalid or not latest, could get access_token by \
             getStableAccessToken, more details at https://mmbizurl.cn/s/JtxxFh33r"
        }
        40002 => "invalid grant_type",
        40003 => "invalid openid",
        40013 => "invalid appid",
        40014 => "invalid access_token",
        40029 => "invalid code,",
        40037 => "invalid template_id",
        40066 => "invalid url",
        40101 => "missing parameter",
        40125 => "invalid appsecret",
        40163 => "code been used,",
        40226 => "code blocked,",
        40243 => "appsecret is frozen",
        41001 => "access_token missing",
        41002 => "appid missing",
        41004 => "appsecret missing",
        41008 => "missing code",
        41030 => "invalid page",
        42001 => "access_token expired",
        43001 => "require GET method",
        43002 => "require POST method",
        43101 => "user refuse to accept the msg",
        43107 => "subscribe message capacity banned",
        43108 => "Cannot make concurrent calls to the same OpenID, please try again",
        44002 => "empty post data",
        45009 => "reach max api daily quota limit",
        45011 => "api minute-quota reach limit  mustslower  retry next minute",
        45168 => "hit sensitive word",
        47001 => "data format error",
        48001 => "api unauthorized",
        48004 => "api forbidden for irregularities",
        48006 => "forbid to clear quota because of reaching the limit",
        50002 => "user limited",
        76021 => "cgi_path not found, please check",
        -501_000 => "Environment invalid",
        -504_002 => "functions execute fail",
        -504_003 => "Invoking task timed out after 3 seconds",
        // -1 and everything this list does not know.
        _ => "system error",
    }
}
