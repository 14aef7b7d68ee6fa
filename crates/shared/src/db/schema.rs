//! The tables, as the queries see them. The truth is in `migrations/`; the contract tests run every
//! query against both.

#![expect(
    missing_docs,
    reason = "the macro takes no doc comments for the modules it makes"
)]

diesel::table! {
    users (id) {
        id -> Text,
        username -> Text,
        password_hash -> Text,
        name -> Text,
        phone -> Nullable<Text>,
        role -> Text,
        department -> Nullable<Text>,
        active -> Bool,
        token_epoch -> Integer,
        created_at -> Timestamp,
        updated_at -> Timestamp,
    }
}

diesel::table! {
    login_failures (id) {
        id -> Text,
        username -> Text,
        failed_at -> Timestamp,
    }
}

diesel::table! {
    bindings (id) {
        id -> Text,
        user_id -> Text,
        app -> Text,
        external_id -> Text,
        created_at -> Timestamp,
        updated_at -> Timestamp,
    }
}

diesel::table! {
    customers (id) {
        id -> Text,
        number -> Text,
        name -> Text,
        phone -> Nullable<Text>,
        wechat_id -> Nullable<Text>,
        lead_source -> Text,
        service_category -> Nullable<Text>,
        lead_level -> Nullable<Text>,
        contract_status -> Text,
        remarks -> Nullable<Text>,
        assigned_to -> Nullable<Text>,
        assigned_by -> Nullable<Text>,
        assigned_at -> Nullable<Timestamp>,
        assignment_reason -> Nullable<Text>,
        in_public_pool -> Bool,
        pool_entered_at -> Nullable<Timestamp>,
        pool_reason -> Nullable<Text>,
        claim_count -> Integer,
        last_activity_at -> Timestamp,
        last_follow_up_at -> Nullable<Timestamp>,
        transfer_count -> Integer,
        last_transferred_at -> Nullable<Timestamp>,
        auto_transfer_enabled -> Bool,
        frozen -> Bool,
        frozen_by -> Nullable<Text>,
        frozen_at -> Nullable<Timestamp>,
        frozen_reason -> Nullable<Text>,
        created_by -> Nullable<Text>,
        created_at -> Timestamp,
        updated_at -> Timestamp,
        version -> Integer,
    }
}

diesel::table! {
    assignments (id) {
        id -> Text,
        customer_id -> Text,
        from_user_id -> Nullable<Text>,
        to_user_id -> Nullable<Text>,
        assigned_by -> Nullable<Text>,
        entrance -> Text,
        reason -> Nullable<Text>,
        request_id -> Nullable<Text>,
        created_at -> Timestamp,
    }
}

diesel::table! {
    follow_ups (id) {
        id -> Text,
        customer_id -> Text,
        author_id -> Text,
        kind -> Nullable<Text>,
        content -> Text,
        next_follow_up_at -> Nullable<Timestamp>,
        request_id -> Nullable<Text>,
        created_at -> Timestamp,
    }
}

diesel::table! {
    contract_signings (customer_id, signed_at) {
        customer_id -> Text,
        user_id -> Nullable<Text>,
        signed_at -> Timestamp,
    }
}

diesel::table! {
    lead_transfer_rules (id) {
        id -> Text,
        name -> Text,
        enabled -> Bool,
        inactive_hours -> Integer,
        cooldown_hours -> Integer,
        transfers_max -> Integer,
        contract_statuses -> Text,
        lead_sources -> Text,
        created_from -> Nullable<Text>,
        created_until -> Nullable<Text>,
        window_enabled -> Bool,
        window_start -> Text,
        window_end -> Text,
        strategy -> Text,
        round -> Integer,
        last_receiver_id -> Nullable<Text>,
        created_by -> Nullable<Text>,
        created_at -> Timestamp,
        updated_at -> Timestamp,
        version -> Integer,
    }
}

diesel::table! {
    lead_transfer_rule_users (rule_id, user_id) {
        rule_id -> Text,
        user_id -> Text,
        is_source -> Bool,
        is_target -> Bool,
        position -> Integer,
        out_count -> Integer,
        in_count -> Integer,
    }
}

diesel::table! {
    lead_transfer_runs (id) {
        id -> Text,
        origin -> Text,
        slot -> Nullable<Timestamp>,
        rule_id -> Nullable<Text>,
        leads_max -> Nullable<Integer>,
        as_of -> Timestamp,
        status -> Text,
        moved -> Integer,
        skipped -> Integer,
        error -> Nullable<Text>,
        started_by -> Nullable<Text>,
        request_id -> Text,
        created_at -> Timestamp,
        updated_at -> Timestamp,
        finished_at -> Nullable<Timestamp>,
    }
}

diesel::table! {
    lead_transfer_records (id) {
        id -> Text,
        run_id -> Text,
        rule_id -> Text,
        rule_name -> Text,
        customer_id -> Text,
        from_user_id -> Text,
        to_user_id -> Text,
        created_at -> Timestamp,
    }
}

diesel::table! {
    schedules (name) {
        name -> Text,
        last_slot -> Timestamp,
        updated_at -> Timestamp,
        under_way -> Nullable<Timestamp>,
        progress -> Nullable<Text>,
    }
}

diesel::table! {
    leases (name) {
        name -> Text,
        holder -> Text,
        expires_at -> Timestamp,
    }
}

diesel::table! {
    operation_logs (id) {
        id -> Text,
        actor_id -> Nullable<Text>,
        action -> Text,
        entity -> Text,
        entity_id -> Text,
        detail -> Text,
        request_id -> Nullable<Text>,
        created_at -> Timestamp,
    }
}

diesel::table! {
    service_tokens (id) {
        id -> Text,
        name -> Text,
        hash -> Text,
        scopes -> Text,
        created_by -> Text,
        created_at -> Timestamp,
        expires_at -> Nullable<Timestamp>,
        last_used_at -> Nullable<Timestamp>,
        revoked_at -> Nullable<Timestamp>,
    }
}

diesel::table! {
    events (id) {
        id -> Text,
        kind -> Text,
        user_id -> Nullable<Text>,
        service_token_id -> Nullable<Text>,
        dedup_key -> Nullable<Text>,
        due_at -> Timestamp,
        expires_at -> Nullable<Timestamp>,
        receipt -> Nullable<Text>,
        waiting -> Nullable<Text>,
        request_id -> Nullable<Text>,
        created_at -> Timestamp,
    }
}

diesel::table! {
    idempotency_keys (id) {
        id -> Text,
        user_id -> Nullable<Text>,
        key -> Text,
        fingerprint -> Text,
        status -> Nullable<Integer>,
        message -> Nullable<Text>,
        data -> Nullable<Text>,
        created_at -> Timestamp,
        service_token_id -> Nullable<Text>,
    }
}

diesel::table! {
    imports (id) {
        id -> Text,
        user_id -> Text,
        invalid_rows -> Text,
        state -> Text,
        failure -> Nullable<Text>,
        total -> Integer,
        imported -> Integer,
        invalid -> Integer,
        faults -> Text,
        fault_count -> Integer,
        request_id -> Nullable<Text>,
        created_at -> Timestamp,
        alive_at -> Timestamp,
        finished_at -> Nullable<Timestamp>,
    }
}

diesel::table! {
    website_lead_requests (id) {
        id -> Text,
        client -> Text,
        asked_at -> Timestamp,
    }
}

diesel::table! {
    members (id) {
        id -> Text,
        member_no -> Text,
        nickname -> Nullable<Text>,
        wechat -> Nullable<Text>,
        phone -> Nullable<Text>,
        gender -> Nullable<Text>,
        birth_year -> Nullable<Integer>,
        height -> Nullable<Integer>,
        weight -> Nullable<Integer>,
        province -> Nullable<Text>,
        city -> Nullable<Text>,
        district -> Nullable<Text>,
        education -> Nullable<Text>,
        occupation -> Nullable<Text>,
        income -> Nullable<Text>,
        marital_status -> Nullable<Text>,
        self_introduction -> Nullable<Text>,
        partner_requirements -> Nullable<Text>,
        status -> Text,
        deleted -> Bool,
        request_id -> Nullable<Text>,
        created_at -> Timestamp,
        updated_at -> Timestamp,
    }
}

diesel::table! {
    member_labels (field, code) {
        field -> Text,
        code -> Text,
        label -> Text,
    }
}

diesel::table! {
    inbox_changes (position) {
        position -> BigInt,
        user_id -> Text,
        notification_id -> Nullable<Text>,
        changed_at -> Timestamp,
    }
}

diesel::table! {
    socket_tickets (hash) {
        hash -> Text,
        user_id -> Text,
        token_epoch -> Integer,
        token_ends_at -> Timestamp,
        expires_at -> Timestamp,
    }
}

diesel::table! {
    notifications (id) {
        id -> Text,
        user_id -> Text,
        kind -> Text,
        title -> Text,
        content -> Text,
        priority -> Text,
        link -> Nullable<Text>,
        data -> Text,
        read_at -> Nullable<Timestamp>,
        created_at -> Timestamp,
        deleted_at -> Nullable<Timestamp>,
    }
}

diesel::table! {
    notification_routes (kind, channel) {
        kind -> Text,
        channel -> Text,
        enabled -> Bool,
        template_id -> Nullable<Text>,
        page -> Nullable<Text>,
        fields -> Text,
        updated_at -> Timestamp,
        format -> Nullable<Text>,
        recipients -> Nullable<Text>,
        fallback -> Nullable<Text>,
    }
}

diesel::table! {
    notification_preferences (user_id) {
        user_id -> Text,
        preferences -> Text,
        updated_at -> Timestamp,
    }
}

diesel::table! {
    notification_templates (kind) {
        kind -> Text,
        title -> Nullable<Text>,
        content -> Nullable<Text>,
        priority -> Nullable<Text>,
        link -> Nullable<Text>,
        button -> Nullable<Text>,
        version -> Integer,
        updated_by -> Nullable<Text>,
        updated_at -> Nullable<Timestamp>,
    }
}

diesel::table! {
    outbox_messages (id) {
        id -> Text,
        kind -> Text,
        channel -> Text,
        recipient_id -> Text,
        subject -> Nullable<Text>,
        dedup_key -> Nullable<Text>,
        payload -> Text,
        status -> Text,
        priority -> SmallInt,
        attempt -> Integer,
        attempts_max -> Integer,
        fence -> BigInt,
        rescues -> Integer,
        due_at -> Timestamp,
        expires_at -> Nullable<Timestamp>,
        claimed_by -> Nullable<Text>,
        lease_expires_at -> Nullable<Timestamp>,
        outcome_unknown -> Bool,
        last_errcode -> Nullable<BigInt>,
        last_error -> Nullable<Text>,
        provider_message_id -> Nullable<Text>,
        request_id -> Nullable<Text>,
        created_at -> Timestamp,
        sent_at -> Nullable<Timestamp>,
        finished_at -> Nullable<Timestamp>,
        delivered_at -> Nullable<Timestamp>,
        delivery_error -> Nullable<Text>,
        superseded_by -> Nullable<Text>,
        fallbacks -> Nullable<Text>,
        fallback_of -> Nullable<Text>,
        fell_back_to -> Nullable<Text>,
        quiet_until -> Nullable<Timestamp>,
        digest_id -> Nullable<Text>,
    }
}

diesel::table! {
    outbox_attempts (id) {
        id -> Text,
        message_id -> Text,
        attempt -> Integer,
        fence -> BigInt,
        relay -> Text,
        started_at -> Timestamp,
        duration_ms -> BigInt,
        verdict -> Text,
        rule -> Text,
        http_status -> Nullable<Integer>,
        errcode -> Nullable<BigInt>,
        errmsg -> Nullable<Text>,
    }
}

diesel::table! {
    channel_holds (channel) {
        channel -> Text,
        cause -> Text,
        reason -> Text,
        errcode -> Nullable<BigInt>,
        probe_at -> Nullable<Timestamp>,
        held_by -> Text,
        held_since -> Timestamp,
    }
}

diesel::table! {
    channel_settings (channel) {
        channel -> Text,
        unknown_outcome -> Text,
        concurrency -> Nullable<Integer>,
        rate_per_minute -> Nullable<Integer>,
        updated_at -> Timestamp,
    }
}

diesel::table! {
    errcode_overrides (api, errcode) {
        api -> Text,
        errcode -> BigInt,
        class -> Text,
        reason -> Text,
        updated_at -> Timestamp,
    }
}

diesel::table! {
    relays (name) {
        name -> Text,
        version -> Text,
        started_at -> Timestamp,
        heartbeat_at -> Timestamp,
        in_flight -> Integer,
    }
}

diesel::table! {
    repairs (id) {
        id -> Text,
        act -> Text,
        reason -> Text,
        matching -> Nullable<Text>,
        actor_id -> Nullable<Text>,
        console -> Nullable<Text>,
        request_id -> Nullable<Text>,
        changed -> BigInt,
        undone -> BigInt,
        created_at -> Timestamp,
        changed_at -> Timestamp,
        undone_at -> Nullable<Timestamp>,
    }
}

diesel::table! {
    repaired_messages (repair_id, message_id) {
        repair_id -> Text,
        message_id -> Text,
        changed_at -> Timestamp,
        fence -> BigInt,
        status_before -> Text,
        attempts_max_before -> Integer,
        rescues_before -> Integer,
        due_at_before -> Timestamp,
        expires_at_before -> Nullable<Timestamp>,
        finished_at_before -> Nullable<Timestamp>,
        payload_before -> Nullable<Text>,
        undo_outcome -> Nullable<Text>,
    }
}

diesel::allow_tables_to_appear_in_same_query!(
    users,
    bindings,
    customers,
    assignments,
    follow_ups,
    contract_signings,
    lead_transfer_rules,
    lead_transfer_rule_users,
    lead_transfer_runs,
    lead_transfer_records,
    schedules,
    leases,
    operation_logs,
    members,
    member_labels,
    notifications,
    inbox_changes,
    socket_tickets,
    notification_routes,
    notification_templates,
    notification_preferences,
    outbox_messages,
    outbox_attempts,
    channel_holds,
    channel_settings,
    errcode_overrides,
    relays,
    repairs,
    repaired_messages,
    login_failures,
    service_tokens,
    events,
    idempotency_keys,
    imports,
    website_lead_requests,
);
