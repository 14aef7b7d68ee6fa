-- Members: the second CRM. Other programs write this table by SQL, so that the database itself puts
-- what is to be told of it into the outbox.

CREATE TABLE members (
    -- A UUID of version 7, as the application makes them.
    id                   TEXT NOT NULL PRIMARY KEY DEFAULT (
        printf(
            '%08x-%04x-7%03x-%04x-%012x',
            CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER) >> 16,
            CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER) & 65535,
            random() & 4095, (random() & 16383) | 32768, random() & 281474976710655
        )
    ),
    member_no            TEXT NOT NULL UNIQUE,
    nickname             TEXT,
    wechat               TEXT,
    phone                TEXT,
    -- Gender, education and occupation are codes (see member_labels) or words.
    gender               TEXT,
    birth_year           INTEGER CHECK (typeof(birth_year) IN ('integer', 'null')),
    -- Centimetres.
    height               INTEGER CHECK (typeof(height) IN ('integer', 'null')),
    -- Kilograms.
    weight               INTEGER CHECK (typeof(weight) IN ('integer', 'null')),
    province             TEXT,
    city                 TEXT,
    district             TEXT,
    education            TEXT,
    occupation           TEXT,
    income               TEXT,
    marital_status       TEXT,
    self_introduction    TEXT,
    partner_requirements TEXT,
    status               TEXT NOT NULL DEFAULT 'ACTIVE' CHECK (status IN ('ACTIVE', 'INACTIVE', 'REVOKED')),
    deleted              BOOLEAN NOT NULL DEFAULT FALSE CHECK (deleted IN (FALSE, TRUE)),
    -- The request of the API that wrote the row last.
    request_id           TEXT,
    -- UTC, as the application writes it: no fraction where it would be zero, or moments would not
    -- compare.
    created_at           TIMESTAMP NOT NULL DEFAULT (replace(strftime('%Y-%m-%d %H:%M:%f', 'now'), '.000', '')),
    updated_at           TIMESTAMP NOT NULL DEFAULT (replace(strftime('%Y-%m-%d %H:%M:%f', 'now'), '.000', '')),
    -- What the application could not read.
    CONSTRAINT members_id_is_a_uuid CHECK (
        id GLOB replace('XXXXXXXX-XXXX-XXXX-XXXX-XXXXXXXXXXXX', 'X', '[0-9a-f]')
    ),
    CONSTRAINT members_times_are_utc_texts CHECK (
        created_at GLOB '[0-9][0-9][0-9][0-9]-[01][0-9]-[0-3][0-9] [0-2][0-9]:[0-5][0-9]:[0-5][0-9]*'
        AND updated_at GLOB '[0-9][0-9][0-9][0-9]-[01][0-9]-[0-3][0-9] [0-2][0-9]:[0-5][0-9]:[0-5][0-9]*'
    )
);
CREATE INDEX members_by_creation ON members (created_at, id);
CREATE INDEX members_by_phone ON members (phone);
CREATE INDEX members_by_wechat ON members (wechat);

-- The words for codes. A code that is not here is shown as it is.
CREATE TABLE member_labels (
    field TEXT NOT NULL CHECK (field IN ('gender', 'education', 'occupation')),
    -- In lower case; capitals make no difference.
    code  TEXT NOT NULL CHECK (code = lower(code)),
    label TEXT NOT NULL CHECK (label <> ''),
    PRIMARY KEY (field, code)
);
INSERT INTO member_labels (field, code, label) VALUES
    ('gender', 'male', '男'), ('gender', 'm', '男'), ('gender', '1', '男'),
    ('gender', 'female', '女'), ('gender', 'f', '女'), ('gender', '2', '女'),
    ('gender', 'unknown', '未填写'), ('gender', 'u', '未填写'), ('gender', '0', '未填写'),
    ('education', 'doctor', '博士'), ('education', 'phd', '博士'), ('education', 'master', '硕士'),
    ('education', 'bachelor', '本科'), ('education', 'college', '大专'), ('education', 'vocational', '中专'),
    ('education', 'high_school', '高中'), ('education', 'junior_high', '初中'), ('education', 'primary', '小学'),
    ('education', 'other', '其他'),
    ('occupation', 'manage', '企业管理'), ('occupation', 'manager', '企业管理'), ('occupation', 'civil_servant', '公务员'),
    ('occupation', 'teacher', '教师'), ('occupation', 'doctor', '医生'), ('occupation', 'nurse', '护士'),
    ('occupation', 'engineer', '工程师'), ('occupation', 'it', '互联网'), ('occupation', 'finance', '金融'),
    ('occupation', 'bank', '银行'), ('occupation', 'accountant', '会计'), ('occupation', 'lawyer', '律师'),
    ('occupation', 'police', '警察'), ('occupation', 'military', '军人'), ('occupation', 'design', '设计'),
    ('occupation', 'media', '媒体'), ('occupation', 'sales', '销售'), ('occupation', 'hr', '人力资源'),
    ('occupation', 'service', '服务业'), ('occupation', 'worker', '工人'), ('occupation', 'farmer', '农民'),
    ('occupation', 'self_employed', '个体经营'), ('occupation', 'freelancer', '自由职业'),
    ('occupation', 'student', '学生'), ('occupation', 'retired', '退休'), ('occupation', 'other', '其他');

-- What a message says of a member, whoever enqueues it: everything in words, nothing longer than 200
-- characters, the phone number masked.
CREATE VIEW member_cards (id, card) AS
SELECT
    id,
    json_object(
        'memberId', CAST(id AS TEXT),
        'memberNo', coalesce(nullif(member_no, ''), '未填写'),
        'nickname', coalesce(nullif(nickname, ''), '未填写'),
        'gender', coalesce((SELECT label FROM member_labels WHERE field = 'gender' AND code = lower(gender)), nullif(gender, ''), '未填写'),
        'birthYear', CASE WHEN birth_year > 0 THEN CAST(birth_year AS TEXT) ELSE '未填写' END,
        'height', CASE WHEN height > 0 THEN height || 'cm' ELSE '未填写' END,
        'weight', CASE WHEN weight > 0 THEN weight || 'kg' ELSE '未填写' END,
        'education', coalesce((SELECT label FROM member_labels WHERE field = 'education' AND code = lower(education)), nullif(education, ''), '未填写'),
        'occupation', coalesce((SELECT label FROM member_labels WHERE field = 'occupation' AND code = lower(occupation)), nullif(occupation, ''), '未填写'),
        'location', coalesce(
            nullif(
                substr(
                    trim(
                        province
                        || CASE WHEN city NOT IN ('', province) THEN ' ' || city ELSE '' END
                        || CASE WHEN district <> '' THEN ' ' || district ELSE '' END
                    ),
                    1, 200
                ),
                ''
            ),
            '未填写'
        ),
        'phone', CASE
            WHEN phone = '' THEN '未填写'
            WHEN length(phone) < 11 THEN '****'
            ELSE substr(phone, 1, 3) || '****' || substr(phone, -4)
        END
    )
FROM (
    SELECT
        id, birth_year, height, weight,
        -- Blanks of every sort: tab, line breaks, no-break space, ideographic space.
        substr(trim(coalesce(member_no, ''), char(32, 9, 10, 13, 160, 12288)), 1, 200) AS member_no,
        substr(trim(coalesce(nickname, ''), char(32, 9, 10, 13, 160, 12288)), 1, 200) AS nickname,
        substr(trim(coalesce(gender, ''), char(32, 9, 10, 13, 160, 12288)), 1, 200) AS gender,
        substr(trim(coalesce(education, ''), char(32, 9, 10, 13, 160, 12288)), 1, 200) AS education,
        substr(trim(coalesce(occupation, ''), char(32, 9, 10, 13, 160, 12288)), 1, 200) AS occupation,
        trim(coalesce(province, ''), char(32, 9, 10, 13, 160, 12288)) AS province,
        trim(coalesce(city, ''), char(32, 9, 10, 13, 160, 12288)) AS city,
        trim(coalesce(district, ''), char(32, 9, 10, 13, 160, 12288)) AS district,
        trim(coalesce(phone, ''), char(32, 9, 10, 13, 160, 12288)) AS phone
    FROM members
);

-- The messages of a member that wait, by channel.
CREATE INDEX outbox_pending_of_members ON outbox_messages (subject, channel)
WHERE status = 'pending' AND kind IN ('member.registered', 'member.updated');

-- What is to be told of a member. Nothing is ever in it: whoever inserts here lets the trigger enqueue
-- it, a message on each route on which none waits. Moments are those of Beijing.
CREATE VIEW member_news (member_id, kind, changed_fields, request_id) AS
SELECT NULL, NULL, NULL, NULL WHERE FALSE;

CREATE TRIGGER member_news_enqueued INSTEAD OF INSERT ON member_news
BEGIN
    INSERT INTO outbox_messages (
        id, kind, channel, recipient_id, subject, payload, status, priority, attempts_max, due_at,
        request_id, created_at
    )
    SELECT
        printf(
            '%08x-%04x-7%03x-%04x-%012x',
            CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER) >> 16,
            CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER) & 65535,
            random() & 4095, (random() & 16383) | 32768, random() & 281474976710655
        ),
        r.kind, r.channel, r.recipients, 'member:' || c.id,
        json_patch(
            c.card,
            json_object(
                'time', strftime('%Y年%m月%d日 %H:%M', 'now', '+8 hours'),
                -- Null adds nothing.
                'changedFields', NEW.changed_fields
            )
        ),
        'pending', iif(r.kind = 'member.registered', 0, 1), 10,
        replace(strftime('%Y-%m-%d %H:%M:%f', 'now'), '.000', ''),
        NEW.request_id,
        replace(strftime('%Y-%m-%d %H:%M:%f', 'now'), '.000', '')
    FROM member_cards AS c
    CROSS JOIN notification_routes AS r
    WHERE c.id = NEW.member_id
      AND r.kind = NEW.kind AND r.enabled AND r.recipients IS NOT NULL
      AND NOT EXISTS (
          SELECT 1
          FROM outbox_messages AS p
          WHERE p.subject = 'member:' || NEW.member_id
            AND p.channel = r.channel AND p.recipient_id = r.recipients
            -- In the words of the index.
            AND p.status = 'pending' AND p.kind IN ('member.registered', 'member.updated')
            AND p.kind IN ('member.registered', NEW.kind)
            AND NOT p.outcome_unknown
      );
END;

-- The same for a member of whom messages may wait. For the same recipients on the same channel, the
-- one that waits is brought up to date: the registration, else the last update. One that may have been
-- delivered stays as it is: the platform knows a repeat by its content.
CREATE VIEW member_changes (member_id, kind, changed_fields, request_id) AS
SELECT NULL, NULL, NULL, NULL WHERE FALSE;

CREATE TRIGGER member_changes_enqueued INSTEAD OF INSERT ON member_changes
BEGIN
    UPDATE outbox_messages
    SET payload = (
        SELECT json_patch(
            card,
            json_object(
                'time', strftime(
                    '%Y年%m月%d日 %H:%M',
                    iif(outbox_messages.kind = NEW.kind, 'now', outbox_messages.created_at),
                    '+8 hours'
                ),
                'changedFields', iif(
                    outbox_messages.kind = 'member.registered',
                    NULL,
                    (
                        SELECT group_concat(value, '、')
                        FROM (
                            SELECT value
                            FROM json_each('["会员编号","昵称","微信号","手机号","性别","出生年份","身高","体重","省份","城市","区县","学历","职业","收入","婚姻状况","自我介绍","择偶要求"]')
                            WHERE instr(
                                '、' || coalesce(iif(json_valid(payload), json_extract(payload, '$.changedFields'), ''), '')
                                || '、' || NEW.changed_fields || '、',
                                '、' || value || '、'
                            )
                            ORDER BY key
                        )
                    )
                )
            )
        )
        FROM member_cards
        WHERE member_cards.id = NEW.member_id
    )
    WHERE id IN (
        SELECT id
        FROM (
            SELECT
                p.id,
                row_number() OVER (PARTITION BY p.channel, p.recipient_id ORDER BY p.kind, p.id DESC) AS place
            FROM outbox_messages AS p
            WHERE p.subject = 'member:' || NEW.member_id
              AND p.status = 'pending' AND p.kind IN ('member.registered', 'member.updated')
              AND p.kind IN ('member.registered', NEW.kind)
              AND NOT p.outcome_unknown
        )
        WHERE place = 1
    );
    INSERT INTO member_news (member_id, kind, changed_fields, request_id)
    VALUES (NEW.member_id, NEW.kind, NEW.changed_fields, NEW.request_id);
END;

CREATE TRIGGER members_inserted AFTER INSERT ON members
WHEN NEW.status = 'ACTIVE' AND NOT NEW.deleted
BEGIN
    INSERT INTO member_news (member_id, kind, request_id) VALUES (NEW.id, 'member.registered', NEW.request_id);
END;

-- Becoming active is a registration; anything else that changed about an active member is an update.
CREATE TRIGGER members_updated AFTER UPDATE ON members
WHEN NEW.status = 'ACTIVE' AND NOT NEW.deleted
BEGIN
    INSERT INTO member_changes (member_id, kind, changed_fields, request_id)
    SELECT NEW.id, kind, iif(kind = 'member.updated', changed_fields, NULL), iif(NEW.request_id IS NOT OLD.request_id, NEW.request_id, NULL)
    FROM (
        SELECT
            iif(OLD.status = 'ACTIVE' AND NOT OLD.deleted, 'member.updated', 'member.registered') AS kind,
            substr(
                iif(NEW.member_no IS NOT OLD.member_no, '、会员编号', '')
                || iif(NEW.nickname IS NOT OLD.nickname, '、昵称', '')
                || iif(NEW.wechat IS NOT OLD.wechat, '、微信号', '')
                || iif(NEW.phone IS NOT OLD.phone, '、手机号', '')
                || iif(NEW.gender IS NOT OLD.gender, '、性别', '')
                || iif(NEW.birth_year IS NOT OLD.birth_year, '、出生年份', '')
                || iif(NEW.height IS NOT OLD.height, '、身高', '')
                || iif(NEW.weight IS NOT OLD.weight, '、体重', '')
                || iif(NEW.province IS NOT OLD.province, '、省份', '')
                || iif(NEW.city IS NOT OLD.city, '、城市', '')
                || iif(NEW.district IS NOT OLD.district, '、区县', '')
                || iif(NEW.education IS NOT OLD.education, '、学历', '')
                || iif(NEW.occupation IS NOT OLD.occupation, '、职业', '')
                || iif(NEW.income IS NOT OLD.income, '、收入', '')
                || iif(NEW.marital_status IS NOT OLD.marital_status, '、婚姻状况', '')
                || iif(NEW.self_introduction IS NOT OLD.self_introduction, '、自我介绍', '')
                || iif(NEW.partner_requirements IS NOT OLD.partner_requirements, '、择偶要求', ''),
                2
            ) AS changed_fields
    )
    WHERE kind = 'member.registered' OR changed_fields <> '';
END;

CREATE TRIGGER members_touched AFTER UPDATE ON members
WHEN NEW.updated_at IS OLD.updated_at
BEGIN
    UPDATE members
    SET updated_at = replace(strftime('%Y-%m-%d %H:%M:%f', 'now'), '.000', '')
    WHERE id = NEW.id;
END;

-- An administrator names the recipients and switches them on.
INSERT INTO notification_routes (kind, channel, enabled, format, updated_at)
SELECT kind, channel, FALSE, format, replace(strftime('%Y-%m-%d %H:%M:%f', 'now'), '.000', '')
FROM (SELECT 'member.registered' AS kind UNION ALL SELECT 'member.updated')
CROSS JOIN (SELECT 'wecom_app' AS channel, 'textcard' AS format UNION ALL SELECT 'wecom_robot', 'markdown')
WHERE TRUE
ON CONFLICT (kind, channel) DO NOTHING;
