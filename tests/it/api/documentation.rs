use std::collections::BTreeSet;

use reqwest::Method;

use crate::harness::{Answer, TestApi, TestDatabase, on_each_database};

on_each_database!(
    the_description_lists_every_endpoint,
    the_documentation_loads_nothing_from_elsewhere,
);

async fn the_description_lists_every_endpoint(database: &TestDatabase) {
    let api = TestApi::on(database).await;
    let description = get(&api, "/api-docs/openapi.json").await.body;
    assert!(description["openapi"].as_str().unwrap().starts_with('3'));
    let paths = description["paths"].as_object().unwrap();
    let described: BTreeSet<(String, String)> = paths
        .iter()
        .flat_map(|(path, methods)| {
            let methods = methods.as_object().unwrap().keys();
            methods.map(move |method| (path.clone(), method.to_uppercase()))
        })
        .collect();
    let served: BTreeSet<(String, String)> = crm_api::url_table()
        .iter()
        .map(|url| (url.path.to_owned(), url.method.to_string()))
        .collect();
    assert_eq!(described, served);
}

async fn the_documentation_loads_nothing_from_elsewhere(database: &TestDatabase) {
    let api = TestApi::on(database).await;
    let page = get(&api, "/docs").await;
    assert_eq!(page.status, 200);
    let html = page.body.as_str().unwrap();
    assert!(html.contains("swagger-ui"), "{html}");
    for address in ["http://", "https://", "=\"//", "='//"] {
        assert!(!html.contains(address), "{address} in {html}");
    }
    // What the page loads is there, and is the page's own.
    let mut loaded = 0;
    for reference in html.split("src=\"").chain(html.split("href=\"")).skip(1) {
        let name = reference.split('"').next().unwrap();
        if name.starts_with("./") || name.ends_with(".js") || name.ends_with(".css") {
            let file = get(&api, &format!("/docs/{}", name.trim_start_matches("./"))).await;
            assert_eq!(file.status, 200, "{name}");
            loaded += 1;
        }
    }
    assert!(loaded >= 4, "{html}");
    let settings = get(&api, "/docs/swagger-initializer.js").await;
    let settings = settings.body.as_str().unwrap();
    assert!(settings.contains("/api-docs/openapi.json"), "{settings}");
    // Without this the page asks a validator of the makers of Swagger about the description.
    assert!(settings.contains(r#""validatorUrl": "none""#), "{settings}");
}

async fn get(api: &TestApi, path: &str) -> Answer {
    TestApi::send(api.request(Method::GET, path)).await
}
