-- Members: the second CRM. Other programs write this table by SQL, so that the database itself puts
-- what is to be told of it into the outbox.

-- The functions below look for their tables in this schema, whoever calls them.
SELECT set_config('yizhan.search_path', current_setting('search_path'), TRUE);
SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', TRUE);

-- A UUID of version 7, as the application makes them.
CREATE FUNCTION new_id() RETURNS TEXT LANGUAGE sql VOLATILE AS $$
    SELECT overlay(
        pg_catalog.gen_random_uuid()::TEXT
        PLACING substr(milliseconds, 1, 8) || '-' || substr(milliseconds, 9) || '-7' FROM 1 FOR 15
    )
    FROM (
        SELECT lpad(to_hex(floor(extract(epoch FROM clock_timestamp()) * 1000)::BIGINT), 12, '0')
    ) AS clock (milliseconds)
$$;

CREATE TABLE members (
    id                   TEXT COLLATE "C" PRIMARY KEY DEFAULT new_id(),
    member_no            TEXT NOT NULL UNIQUE,
    nickname             TEXT,
    wechat               TEXT,
    phone                TEXT,
    -- Gender, education and occupation are codes (see member_labels) or words.
    gender               TEXT,
    birth_year           INTEGER,
    -- Centimetres.
    height               INTEGER,
    -- Kilograms.
    weight               INTEGER,
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
    deleted              BOOLEAN NOT NULL DEFAULT FALSE,
    -- The request of the API that wrote the row last.
    request_id           TEXT,
    created_at           TIMESTAMP NOT NULL DEFAULT (statement_timestamp() AT TIME ZONE 'UTC'),
    updated_at           TIMESTAMP NOT NULL DEFAULT (statement_timestamp() AT TIME ZONE 'UTC'),
    -- What the application could not read.
    CONSTRAINT members_id_is_a_uuid CHECK (
        id ~ '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$'
    )
);
CREATE INDEX members_by_creation ON members (created_at, id);
-- Of texts of any length.
CREATE INDEX members_by_phone ON members USING hash (phone);
CREATE INDEX members_by_wechat ON members USING hash (wechat);

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
    jsonb_build_object(
        'memberId', id,
        'memberNo', coalesce(nullif(member_no, ''), '未填写'),
        'nickname', coalesce(nullif(nickname, ''), '未填写'),
        'gender', coalesce((SELECT label FROM member_labels WHERE field = 'gender' AND code = lower(gender)), nullif(gender, ''), '未填写'),
        'birthYear', CASE WHEN birth_year > 0 THEN birth_year::TEXT ELSE '未填写' END,
        'height', CASE WHEN height > 0 THEN height || 'cm' ELSE '未填写' END,
        'weight', CASE WHEN weight > 0 THEN weight || 'kg' ELSE '未填写' END,
        'education', coalesce((SELECT label FROM member_labels WHERE field = 'education' AND code = lower(education)), nullif(education, ''), '未填写'),
        'occupation', coalesce((SELECT label FROM member_labels WHERE field = 'occupation' AND code = lower(occupation)), nullif(occupation, ''), '未填写'),
        'location', coalesce(
            nullif(
                left(
                    btrim(
                        province
                        || CASE WHEN city NOT IN ('', province) THEN ' ' || city ELSE '' END
                        || CASE WHEN district <> '' THEN ' ' || district ELSE '' END
                    ),
                    200
                ),
                ''
            ),
            '未填写'
        ),
        'phone', CASE
            WHEN phone = '' THEN '未填写'
            WHEN length(phone) < 11 THEN '****'
            ELSE left(phone, 3) || '****' || right(phone, 4)
        END
    )
FROM (
    SELECT
        id, birth_year, height, weight,
        -- Blanks of every sort: tab, line breaks, no-break space, ideographic space.
        left(btrim(coalesce(member_no, ''), E' \t\n\r\u00a0\u3000'), 200) AS member_no,
        left(btrim(coalesce(nickname, ''), E' \t\n\r\u00a0\u3000'), 200) AS nickname,
        left(btrim(coalesce(gender, ''), E' \t\n\r\u00a0\u3000'), 200) AS gender,
        left(btrim(coalesce(education, ''), E' \t\n\r\u00a0\u3000'), 200) AS education,
        left(btrim(coalesce(occupation, ''), E' \t\n\r\u00a0\u3000'), 200) AS occupation,
        btrim(coalesce(province, ''), E' \t\n\r\u00a0\u3000') AS province,
        btrim(coalesce(city, ''), E' \t\n\r\u00a0\u3000') AS city,
        btrim(coalesce(district, ''), E' \t\n\r\u00a0\u3000') AS district,
        btrim(coalesce(phone, ''), E' \t\n\r\u00a0\u3000') AS phone
    FROM members
) AS trimmed;

-- The messages of a member that wait, by channel.
CREATE INDEX outbox_pending_of_members ON outbox_messages (subject, channel)
WHERE status = 'pending' AND kind IN ('member.registered', 'member.updated');

-- Makes the triggers, or makes them anew. It needs the privilege to write functions in plpgsql; where
-- that is missing now, the schema is complete without them, and this can be called later.
--
-- The triggers act for the owner of this schema: whoever may write members needs no privilege on the
-- outbox. They run once for a statement, however many rows it has, and enqueue in one statement.
CREATE FUNCTION create_member_triggers() RETURNS VOID
LANGUAGE sql SET search_path FROM CURRENT SET client_min_messages = warning AS $make$
    CREATE OR REPLACE FUNCTION enqueue_registrations() RETURNS TRIGGER
    LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
    DECLARE
        moment CONSTANT TIMESTAMP := statement_timestamp() AT TIME ZONE 'UTC';
        local_time CONSTANT TEXT := to_char(statement_timestamp() AT TIME ZONE 'Asia/Shanghai', 'YYYY"年"MM"月"DD"日" HH24:MI');
    BEGIN
        INSERT INTO outbox_messages (
            id, kind, channel, recipient_id, subject, payload, status, priority, attempts_max,
            due_at, request_id, created_at
        )
        SELECT
            new_id(), r.kind, r.channel, r.recipients, 'member:' || m.id,
            (c.card || jsonb_build_object('time', local_time))::TEXT,
            'pending', 0, 10, moment, m.request_id, moment
        FROM inserted AS m
        JOIN member_cards AS c ON c.id = m.id
        CROSS JOIN notification_routes AS r
        WHERE m.status = 'ACTIVE' AND NOT m.deleted
          AND r.kind = 'member.registered' AND r.enabled AND r.recipients IS NOT NULL;
        RETURN NULL;
    END
    $$;

    -- Becoming active is a registration; anything else that changed about an active member is an
    -- update. Two updates of one member wait for each other, and the second sees the message of the
    -- first: the row of the member is the lock.
    CREATE OR REPLACE FUNCTION enqueue_updates() RETURNS TRIGGER
    LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
    DECLARE
        moment CONSTANT TIMESTAMP := statement_timestamp() AT TIME ZONE 'UTC';
        labels CONSTANT TEXT[] := ARRAY[
            '会员编号', '昵称', '微信号', '手机号', '性别', '出生年份', '身高', '体重', '省份', '城市', '区县',
            '学历', '职业', '收入', '婚姻状况', '自我介绍', '择偶要求'
        ];
    BEGIN
        WITH compared AS (
            SELECT
                m.id,
                CASE WHEN o.status = 'ACTIVE' AND NOT o.deleted THEN 'member.updated' ELSE 'member.registered' END AS kind,
                -- In the order of the labels.
                ARRAY[
                    m.member_no IS DISTINCT FROM o.member_no,
                    m.nickname IS DISTINCT FROM o.nickname,
                    m.wechat IS DISTINCT FROM o.wechat,
                    m.phone IS DISTINCT FROM o.phone,
                    m.gender IS DISTINCT FROM o.gender,
                    m.birth_year IS DISTINCT FROM o.birth_year,
                    m.height IS DISTINCT FROM o.height,
                    m.weight IS DISTINCT FROM o.weight,
                    m.province IS DISTINCT FROM o.province,
                    m.city IS DISTINCT FROM o.city,
                    m.district IS DISTINCT FROM o.district,
                    m.education IS DISTINCT FROM o.education,
                    m.occupation IS DISTINCT FROM o.occupation,
                    m.income IS DISTINCT FROM o.income,
                    m.marital_status IS DISTINCT FROM o.marital_status,
                    m.self_introduction IS DISTINCT FROM o.self_introduction,
                    m.partner_requirements IS DISTINCT FROM o.partner_requirements
                ] AS changed,
                CASE WHEN m.request_id IS DISTINCT FROM o.request_id THEN m.request_id END AS request_id
            FROM new_members AS m
            JOIN old_members AS o ON o.id = m.id
            WHERE m.status = 'ACTIVE' AND NOT m.deleted
        ),
        news AS (
            SELECT compared.*, 'member:' || id AS subject, card
            FROM compared
            JOIN member_cards USING (id)
            WHERE kind = 'member.registered' OR TRUE = ANY (changed)
        ),
        -- For the same recipients on the same channel, the message of the member that waits: its
        -- registration, else its last update. One that may have been delivered stays as it is: the
        -- platform knows a repeat by its content.
        waiting AS (
            SELECT DISTINCT ON (p.subject, p.channel, p.recipient_id)
                p.id AS message_id, n.kind AS news_kind, n.changed, n.card
            FROM news AS n
            JOIN outbox_messages AS p ON p.subject = n.subject
            WHERE p.status = 'pending' AND p.kind IN ('member.registered', 'member.updated')
              AND p.kind IN ('member.registered', n.kind)
              AND NOT p.outcome_unknown
            ORDER BY p.subject, p.channel, p.recipient_id, p.kind, p.id DESC
        ),
        -- It is brought up to date. One that a relay takes at this moment is waited for, and is none
        -- that waits any more.
        refreshed AS (
            UPDATE outbox_messages AS p
            SET payload = (
                w.card
                || jsonb_build_object(
                    'time',
                    to_char(
                        (CASE WHEN p.kind = w.news_kind THEN moment ELSE p.created_at END) AT TIME ZONE 'UTC' AT TIME ZONE 'Asia/Shanghai',
                        'YYYY"年"MM"月"DD"日" HH24:MI'
                    )
                )
                || CASE p.kind
                    WHEN 'member.registered' THEN '{}'
                    ELSE jsonb_build_object(
                        'changedFields',
                        (
                            SELECT string_agg(label, '、' ORDER BY place)
                            FROM unnest(labels) WITH ORDINALITY AS l (label, place)
                            WHERE w.changed[place]
                               -- Taken from the text: somebody may have made it something else than JSON.
                               OR label = ANY (string_to_array(substring(p.payload FROM '"changedFields"\s*:\s*"([^"]*)"'), '、'))
                        )
                    )
                END
            )::TEXT
            FROM waiting AS w
            WHERE p.id = w.message_id AND p.status = 'pending' AND NOT p.outcome_unknown
            RETURNING p.subject, p.channel, p.recipient_id
        )
        -- A message on each route on which none waited.
        INSERT INTO outbox_messages (
            id, kind, channel, recipient_id, subject, payload, status, priority, attempts_max,
            due_at, request_id, created_at
        )
        SELECT
            new_id(), r.kind, r.channel, r.recipients, n.subject,
            (
                n.card
                || jsonb_build_object('time', to_char(moment AT TIME ZONE 'UTC' AT TIME ZONE 'Asia/Shanghai', 'YYYY"年"MM"月"DD"日" HH24:MI'))
                || CASE n.kind
                    WHEN 'member.registered' THEN '{}'
                    ELSE jsonb_build_object(
                        'changedFields',
                        (
                            SELECT string_agg(label, '、' ORDER BY place)
                            FROM unnest(labels) WITH ORDINALITY AS l (label, place)
                            WHERE n.changed[place]
                        )
                    )
                END
            )::TEXT,
            'pending', CASE n.kind WHEN 'member.registered' THEN 0 ELSE 1 END, 10, moment, n.request_id, moment
        FROM news AS n
        JOIN notification_routes AS r ON r.kind = n.kind
        WHERE r.enabled AND r.recipients IS NOT NULL
          AND NOT EXISTS (
              SELECT
              FROM refreshed AS p
              WHERE p.subject = n.subject AND p.channel = r.channel AND p.recipient_id = r.recipients
          );
        RETURN NULL;
    END
    $$;

    CREATE OR REPLACE FUNCTION touch_member() RETURNS TRIGGER LANGUAGE plpgsql AS $$
    BEGIN
        NEW.updated_at := statement_timestamp() AT TIME ZONE 'UTC';
        RETURN NEW;
    END
    $$;

    DROP TRIGGER IF EXISTS members_inserted ON members;
    CREATE TRIGGER members_inserted AFTER INSERT ON members
    REFERENCING NEW TABLE AS inserted
    FOR EACH STATEMENT EXECUTE FUNCTION enqueue_registrations();

    DROP TRIGGER IF EXISTS members_updated ON members;
    CREATE TRIGGER members_updated AFTER UPDATE ON members
    REFERENCING OLD TABLE AS old_members NEW TABLE AS new_members
    FOR EACH STATEMENT EXECUTE FUNCTION enqueue_updates();

    DROP TRIGGER IF EXISTS members_touched ON members;
    CREATE TRIGGER members_touched BEFORE UPDATE ON members
    FOR EACH ROW WHEN (NEW.updated_at IS NOT DISTINCT FROM OLD.updated_at)
    EXECUTE FUNCTION touch_member();
$make$;

SELECT create_member_triggers()
FROM pg_language
WHERE lanname = 'plpgsql' AND has_language_privilege(oid, 'USAGE');

SELECT set_config('search_path', current_setting('yizhan.search_path'), TRUE);

-- An administrator names the recipients and switches them on.
INSERT INTO notification_routes (kind, channel, enabled, format, updated_at)
SELECT kind, channel, FALSE, format, statement_timestamp() AT TIME ZONE 'UTC'
FROM (VALUES ('member.registered'), ('member.updated')) AS kinds (kind)
CROSS JOIN (VALUES ('wecom_app', 'textcard'), ('wecom_robot', 'markdown')) AS channels (channel, format)
ON CONFLICT (kind, channel) DO NOTHING;
