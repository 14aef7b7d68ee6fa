-- What the list of customers is sorted by, and what it is searched for.

CREATE INDEX customers_by_update ON customers (updated_at, id);
CREATE INDEX customers_by_activity ON customers (last_activity_at, id);
CREATE INDEX customers_by_assignment ON customers (assigned_at, id);

-- The terms by which a customer is found: every character of the name, every three characters in a
-- row of phone number, customer number and WeChat id, and what the list is filtered by. A name of two
-- Chinese characters has no three in a row, which is why no extension for trigrams will do.
--
-- Three in a row are those of the text cut into threes from its first, its second and its third
-- character; the two blanks at its end keep what is left from being a term of a name.
--
-- It is an expression, and no column or trigger: whoever writes the table by whatever way keeps it
-- true, and no privilege is needed. It costs as much as looking at hundreds of rows; said so, the
-- server looks into the index instead of making the terms of one row after the other. It is not said
-- to be safe in parallel, because starting workers takes longer than what they would do.
CREATE FUNCTION customer_terms(
    name TEXT, phone TEXT, wechat_id TEXT, number TEXT, lead_source TEXT, service_category TEXT,
    lead_level TEXT, contract_status TEXT, in_public_pool BOOLEAN
) RETURNS TEXT[] LANGUAGE sql IMMUTABLE COST 2000 AS $$
    SELECT string_to_array(lower(name), NULL)
        || string_to_array(lower(
            regexp_replace(concat_ws(' ', phone, number, wechat_id, ' '), '(...)', E'\\1\n', 'g') || E'\n'
            || regexp_replace(substr(concat_ws(' ', phone, number, wechat_id, ' '), 2), '(...)', E'\\1\n', 'g') || E'\n'
            || regexp_replace(substr(concat_ws(' ', phone, number, wechat_id, ' '), 3), '(...)', E'\\1\n', 'g')
        ), E'\n')
        || ARRAY[
            'source=' || lower(lead_source),
            'category=' || lower(service_category),
            'level=' || lower(lead_level),
            'status=' || lower(contract_status),
            CASE WHEN in_public_pool THEN 'pooled' END
        ]
$$;

-- New entries are gathered and put in by the half megabyte: a search reads what is gathered, and
-- whoever fills it up waits for it to be put in.
CREATE INDEX customers_by_term ON customers USING gin (
    customer_terms(
        name, phone, wechat_id, number, lead_source, service_category, lead_level, contract_status,
        in_public_pool
    )
) WITH (gin_pending_list_limit = 512);
