-- The shared escalation queue, version 1.
--
-- Runs on stock Postgres 14 and newer without extensions. @owner@, @engineer@ and @admin@ are
-- replaced by quoted role names; the administration runs this file as the owner, in one
-- transaction, after the roles and the database privileges are in place.
--
-- Desktops are direct and untrusted: they hold no table privilege at all, only EXECUTE on the
-- functions of fp_v1 (the wire contract). Row-level security, forced on the owner too and keyed
-- on session_user, is the second wall; nothing a client can SET takes part in a decision.
-- Answers are JSON that may gain keys in later migrations; clients ignore keys they don't know.
-- Lock order everywhere: the team's row, then the escalation's row. The team's counter is raised
-- in the same transaction as the change, so that its order is the order of commits.

create schema fp;
create schema fp_v1;

create table fp.meta (
    one boolean primary key default true check (one),
    epoch uuid not null default gen_random_uuid(),  -- changes when the server came back from a backup
    schema_version int not null,
    min_api int not null default 1,                 -- older clients may not even read
    min_api_write int not null default 1            -- older clients may only read
);
insert into fp.meta (schema_version) values (1);

create table fp.team (
    id uuid primary key,
    name text not null check (length(name) between 1 and 200),
    channel text not null unique,                   -- for LISTEN: opaque, says only "poll now"
    seq bigint not null default 0,                  -- head of the feed
    floor_seq bigint not null default 0             -- purged up to here: older cursors resync
);

create table fp.member (
    team_id uuid not null references fp.team,
    engineer_id uuid not null,
    display text not null check (length(display) between 1 and 120),
    active boolean not null default true,
    primary key (team_id, engineer_id)
);

create table fp.login (
    role_name name primary key,                     -- opaque; one role is one engineer of one team
    team_id uuid not null,
    engineer_id uuid not null,
    active boolean not null default true,
    foreign key (team_id, engineer_id) references fp.member
);

create table fp.escalation (
    team_id uuid not null references fp.team,
    id uuid not null,                               -- made by the desktop
    session_id uuid not null,
    state text not null check (state in ('open', 'claimed', 'resolved', 'cancelled', 'expired')),
    version bigint not null default 1,
    team_seq bigint not null,
    fence bigint not null default 0,                -- +1 at every change of handler
    originator uuid not null,
    created_by uuid not null,                       -- who raised the present hop
    assigned_to uuid,
    handler uuid,
    created_at timestamptz not null,
    raised_at timestamptz not null,
    claimed_at timestamptz,
    lease_until timestamptz,
    ttl interval not null,
    expires_at timestamptz not null,
    ended_at timestamptz,
    reason text not null check (length(reason) <= 4000),
    summary text not null check (length(summary) <= 300),
    ticket_number text not null check (length(ticket_number) <= 64),
    step_count int not null check (step_count between 0 and 100000),
    hop_count int not null default 1,
    steps_appended int not null default 0,
    package_schema int not null,
    package_size int not null,
    outcome text not null default '' check (length(outcome) <= 20000),
    primary key (team_id, id),
    check ((ended_at is null) = (state in ('open', 'claimed'))),
    check ((state = 'claimed') <= (handler is not null and lease_until is not null)),
    check ((state = 'open') <= (handler is null))
);
create index escalation_feed on fp.escalation (team_id, team_seq);
create index escalation_live on fp.escalation (team_id, team_seq) where ended_at is null;
create index escalation_due on fp.escalation (team_id, expires_at) where state = 'open';
create index escalation_originated on fp.escalation (team_id, originator, ended_at) where ended_at is not null;
create index escalation_handled on fp.escalation (team_id, handler, ended_at) where ended_at is not null;
create index escalation_ended on fp.escalation (ended_at) where ended_at is not null;

create table fp.hop (
    team_id uuid not null,
    escalation_id uuid not null,
    number int not null,
    raised_by uuid not null,
    raised_at timestamptz not null,
    reason text not null,
    assigned_to uuid,
    package bytea check (octet_length(package) <= 1048576),  -- null: the earlier one still holds
    package_schema int,
    picked_up_by uuid,
    picked_up_at timestamptz,
    ended_at timestamptz,
    ended_how text not null default '',
    primary key (team_id, escalation_id, number),
    foreign key (team_id, escalation_id) references fp.escalation on delete cascade
);

create table fp.step (
    team_id uuid not null,
    escalation_id uuid not null,
    number int not null,
    engineer_id uuid not null,
    at timestamptz not null,
    payload bytea not null check (octet_length(payload) <= 262144),
    primary key (team_id, escalation_id, number),
    foreign key (team_id, escalation_id) references fp.escalation on delete cascade
);

create table fp.op (                                -- every operation is answered once
    team_id uuid not null,
    engineer_id uuid not null,
    op_id uuid not null,
    at timestamptz not null,
    kind text not null,
    digest bytea not null,
    answer jsonb not null,
    primary key (team_id, engineer_id, op_id)
);
create index op_age on fp.op (at);

create table fp.event (                             -- the audit trail
    team_id uuid not null,
    escalation_id uuid not null,
    version bigint not null,
    at timestamptz not null,
    actor uuid not null,
    kind text not null,
    fence bigint not null,
    primary key (team_id, escalation_id, version),
    foreign key (team_id, escalation_id) references fp.escalation on delete cascade
);

-- The second wall. One role is in one team, so a policy is one comparison, evaluated once a query.

create function fp.my_team() returns uuid language plpgsql stable
set search_path = pg_catalog, pg_temp as $$
begin
    return (select l.team_id from fp.login l where l.role_name = session_user and l.active);
end $$;

do $$
declare t text;
begin
    foreach t in array array['team', 'member', 'login', 'escalation', 'hop', 'step', 'op', 'event'] loop
        execute format('alter table fp.%I enable row level security', t);
        execute format('alter table fp.%I force row level security', t);
        execute format('create policy administration on fp.%I to @admin@ using (true) with check (true)', t);
        execute format('grant select, insert, update, delete on fp.%I to @admin@', t);
    end loop;
    foreach t in array array['member', 'escalation', 'hop', 'step', 'event'] loop
        execute format('create policy own_team on fp.%I to @owner@ using (team_id = (select fp.my_team()))'
                       ' with check (team_id = (select fp.my_team()))', t);
    end loop;
end $$;
create policy own_team on fp.team to @owner@
    using (id = (select fp.my_team())) with check (id = (select fp.my_team()));
create policy own_login on fp.login to @owner@ using (role_name = session_user);
create policy own_operations on fp.op to @owner@
    using (team_id = (select fp.my_team())
           and engineer_id = (select l.engineer_id from fp.login l where l.role_name = session_user and l.active));
grant select, update on fp.meta to @admin@;
grant usage on schema fp to @admin@;

-- Inner functions: nobody but the owner may call them; the actor is always session_user. The
-- functions of the wire contract, through which alone they are reached, pin search_path and
-- row_security for the whole call.

create type fp.actor as (
    team_id uuid, engineer_id uuid, seq bigint, at timestamptz,
    op uuid, kind text, digest bytea
);

create function fp.enter(p_api int, p_op uuid, p_kind text, p_arguments jsonb, p_payload bytea default '')
returns fp.actor language plpgsql as $$
declare a fp.actor; v_min int;
begin
    a.kind := p_kind;
    a.op := p_op;
    a.digest := sha256(convert_to(p_arguments::text, 'UTF8') || sha256(p_payload));
    -- A repeat that overtakes its first try waits here and then finds its answer.
    select t.id, t.seq into a.team_id, a.seq from fp.team t where t.id = fp.my_team() for no key update;
    -- Asked again behind the lock: the engineer may have been disabled while we waited.
    select l.engineer_id into a.engineer_id from fp.login l
        where l.role_name = session_user and l.active and l.team_id = a.team_id;
    if a.engineer_id is null then
        raise exception 'no active member' using errcode = 'FP403';
    end if;
    select m.min_api_write into v_min from fp.meta m;
    if p_api < v_min then
        raise exception 'client too old to write' using errcode = 'FP426';
    end if;
    a.at := clock_timestamp();
    return a;
end $$;

create function fp.earlier(a fp.actor) returns jsonb
language plpgsql as $$
declare o fp.op;
begin
    if a.op is null then
        raise exception 'no operation id' using errcode = 'FP400';
    end if;
    select * into o from fp.op where team_id = a.team_id and engineer_id = a.engineer_id and op_id = a.op;
    if not found then
        return null;
    end if;
    if o.kind <> a.kind or o.digest <> a.digest then
        raise exception 'operation id was used for something else' using errcode = 'FP409';
    end if;
    return o.answer || '{"replayed": true}';
end $$;

create function fp.remember(a fp.actor, p_answer jsonb) returns jsonb
language plpgsql as $$
begin
    insert into fp.op (team_id, engineer_id, op_id, at, kind, digest, answer)
        values (a.team_id, a.engineer_id, a.op, a.at, a.kind, a.digest, p_answer);
    return p_answer;
end $$;

create function fp.receipt(e fp.escalation) returns jsonb
language sql immutable as $$
select jsonb_build_object('ok', true, 'id', e.id, 'state', e.state, 'version', e.version,
    'fence', e.fence, 'lease_until', e.lease_until, 'team_seq', e.team_seq,
    'steps_appended', e.steps_appended) $$;

create function fp.record(a fp.actor, e fp.escalation) returns void
language plpgsql as $$
begin
    update fp.team set seq = e.team_seq where id = a.team_id;
    insert into fp.event (team_id, escalation_id, version, at, actor, kind, fence)
        values (a.team_id, e.id, e.version, a.at, a.engineer_id, a.kind, e.fence);
end $$;

create function fp.accept(a fp.actor, e fp.escalation) returns jsonb
language plpgsql as $$
begin
    perform fp.record(a, e);
    return fp.remember(a, fp.receipt(e));
end $$;

create function fp.refuse(a fp.actor, p_why text, e fp.escalation) returns jsonb
language plpgsql as $$
begin
    return fp.remember(a, jsonb_build_object('ok', false, 'why', p_why, 'state', e.state,
        'handler', e.handler, 'handler_name',
        (select m.display from fp.member m where m.team_id = a.team_id and m.engineer_id = e.handler)));
end $$;

create function fp.may_be_assigned(a fp.actor, p_to uuid) returns boolean
language sql stable as $$
select p_to is null or (p_to <> a.engineer_id and exists (
    select 1 from fp.member m where m.team_id = a.team_id and m.engineer_id = p_to and m.active)) $$;

create function fp.check_texts(p_summary text, p_reason text, p_package bytea, p_steps int) returns void
language plpgsql immutable as $$
begin
    if length(p_summary) > 300 or length(p_reason) > 4000 or octet_length(p_package) > 1048576 then
        raise exception 'too large' using errcode = 'FP413';
    end if;
    if p_steps < 0 or p_steps > 100000 then
        raise exception 'bad step count' using errcode = 'FP400';
    end if;
end $$;

create function fp.lease(a fp.actor, p_seconds int) returns timestamptz
language sql immutable as $$
select a.at + make_interval(secs => least(greatest(coalesce(p_seconds, 300), 60), 28800)) $$;

create function fp.escalate(p_api int, p_op uuid, p_id uuid, p_session uuid, p_summary text,
    p_reason text, p_ticket text, p_step_count int, p_assigned_to uuid, p_package bytea,
    p_package_schema int, p_expires_in int) returns jsonb
language plpgsql as $$
declare a fp.actor; r jsonb; e fp.escalation; v_ttl interval;
begin
    if p_id is null or p_session is null or p_summary is null or p_reason is null or p_ticket is null
       or p_step_count is null or p_package is null or p_package_schema is null or length(p_ticket) > 64 then
        raise exception 'incomplete' using errcode = 'FP400';
    end if;
    perform fp.check_texts(p_summary, p_reason, p_package, p_step_count);
    a := fp.enter(p_api, p_op, 'escalate', jsonb_build_array(p_id, p_session, p_summary, p_reason, p_ticket,
        p_step_count, p_assigned_to, p_package_schema, p_expires_in), p_package);
    r := fp.earlier(a);
    if r is not null then return r; end if;
    if not fp.may_be_assigned(a, p_assigned_to) then return fp.refuse(a, 'assignee', e); end if;
    v_ttl := make_interval(secs => least(greatest(coalesce(p_expires_in, 604800), 3600), 2592000));
    insert into fp.escalation (team_id, id, session_id, state, team_seq, originator, created_by, assigned_to,
            created_at, raised_at, ttl, expires_at, reason, summary, ticket_number, step_count,
            package_schema, package_size)
        values (a.team_id, p_id, p_session, 'open', a.seq + 1, a.engineer_id, a.engineer_id, p_assigned_to,
            a.at, a.at, v_ttl, a.at + v_ttl, p_reason, p_summary, p_ticket, p_step_count,
            p_package_schema, octet_length(p_package))
        on conflict (team_id, id) do nothing
        returning * into e;
    if e.id is null then
        raise exception 'escalation id was used before' using errcode = 'FP409';
    end if;
    insert into fp.hop (team_id, escalation_id, number, raised_by, raised_at, reason, assigned_to, package, package_schema)
        values (a.team_id, p_id, 1, a.engineer_id, a.at, p_reason, p_assigned_to, p_package, p_package_schema);
    return fp.accept(a, e);
end $$;

create function fp.expire(a fp.actor, p_id uuid) returns void  -- the caller holds both locks
language plpgsql as $$
declare e fp.escalation;
begin
    update fp.escalation x set state = 'expired', ended_at = a.at, version = x.version + 1,
            team_seq = a.seq + 1, fence = x.fence + 1
        where x.team_id = a.team_id and x.id = p_id returning * into e;
    update fp.hop set ended_at = a.at, ended_how = 'expired'
        where team_id = a.team_id and escalation_id = p_id and number = e.hop_count;
    a.kind := 'expire';
    perform fp.record(a, e);
end $$;

create function fp.pick_up(p_api int, p_op uuid, p_id uuid, p_lease int) returns jsonb
language plpgsql as $$
declare a fp.actor; r jsonb; e fp.escalation; n fp.escalation; v_lapsed boolean;
begin
    a := fp.enter(p_api, p_op, 'pick_up', jsonb_build_array(p_id, p_lease));
    r := fp.earlier(a);
    if r is not null then return r; end if;
    select * into e from fp.escalation where team_id = a.team_id and id = p_id for update;
    if e.id is null then return fp.refuse(a, 'absent', e); end if;
    if e.ended_at is not null then return fp.refuse(a, 'ended', e); end if;
    if e.state = 'open' and e.expires_at <= a.at then
        perform fp.expire(a, p_id);
        e.state := 'expired';
        return fp.refuse(a, 'ended', e);
    end if;
    v_lapsed := e.state = 'claimed' and e.lease_until < a.at;
    if e.state = 'claimed' and not v_lapsed then return fp.refuse(a, 'picked_up', e); end if;
    if e.created_by = a.engineer_id then return fp.refuse(a, 'own', e); end if;
    if v_lapsed and e.handler <> a.engineer_id then  -- taken over: one more hop
        update fp.hop set ended_at = a.at, ended_how = 'lapsed'
            where team_id = a.team_id and escalation_id = p_id and number = e.hop_count;
        insert into fp.hop (team_id, escalation_id, number, raised_by, raised_at, reason)
            values (a.team_id, p_id, e.hop_count + 1, e.created_by, a.at, e.reason);
        e.hop_count := e.hop_count + 1;
    end if;
    update fp.escalation x set state = 'claimed', handler = a.engineer_id, fence = x.fence + 1,
            claimed_at = a.at, lease_until = fp.lease(a, p_lease), hop_count = e.hop_count,
            version = x.version + 1, team_seq = a.seq + 1
        where x.team_id = a.team_id and x.id = p_id returning * into n;
    update fp.hop set picked_up_by = a.engineer_id, picked_up_at = a.at
        where team_id = a.team_id and escalation_id = p_id and number = n.hop_count;
    return fp.accept(a, n);
end $$;

create function fp.held(e fp.escalation, a fp.actor, p_fence bigint) returns text
language sql immutable as $$
select case
    when e.id is null then 'absent'
    when e.ended_at is not null then 'ended'
    when e.state = 'claimed' and e.handler = a.engineer_id and e.fence = p_fence then null
    else 'stale' end $$;

create function fp.renew(p_api int, p_id uuid, p_fence bigint, p_lease int) returns jsonb
language plpgsql as $$
declare a fp.actor; e fp.escalation; v_why text; v_until timestamptz;
begin
    a := fp.enter(p_api, null, 'renew', '[]');
    select * into e from fp.escalation where team_id = a.team_id and id = p_id for update;
    v_why := fp.held(e, a, p_fence);
    if v_why is not null then
        return jsonb_build_object('ok', false, 'why', v_why, 'state', e.state, 'handler', e.handler, 'handler_name',
            (select m.display from fp.member m where m.team_id = a.team_id and m.engineer_id = e.handler));
    end if;
    v_until := fp.lease(a, p_lease);
    -- Teammates see a renewal in their feed; one that hardly moves the lease is not worth their while.
    if e.lease_until < a.at + 0.8 * (v_until - a.at) then
        update fp.escalation x set lease_until = v_until, version = x.version + 1, team_seq = a.seq + 1
            where x.team_id = a.team_id and x.id = p_id returning * into e;
        perform fp.record(a, e);
    end if;
    return fp.receipt(e);
end $$;

create function fp.release(p_api int, p_op uuid, p_id uuid, p_fence bigint, p_reason text, p_summary text,
    p_step_count int, p_assigned_to uuid, p_package bytea, p_package_schema int) returns jsonb
language plpgsql as $$
declare a fp.actor; r jsonb; e fp.escalation; n fp.escalation; v_why text;
begin
    if p_reason is null or (p_package is null) <> (p_package_schema is null) then
        raise exception 'incomplete' using errcode = 'FP400';
    end if;
    perform fp.check_texts(p_summary, p_reason, p_package, p_step_count);
    a := fp.enter(p_api, p_op, 'release', jsonb_build_array(p_id, p_fence, p_reason, p_summary, p_step_count,
        p_assigned_to, p_package_schema), coalesce(p_package, ''));
    r := fp.earlier(a);
    if r is not null then return r; end if;
    select * into e from fp.escalation where team_id = a.team_id and id = p_id for update;
    if p_fence is not null then
        v_why := fp.held(e, a, p_fence);
    else
        v_why := case
            when e.id is null then 'absent'
            when e.ended_at is not null then 'ended'
            when e.originator <> a.engineer_id then 'not_allowed'
            when e.state <> 'claimed' then 'not_open'
            when e.lease_until >= a.at then 'not_expired' end;
    end if;
    if v_why is not null then return fp.refuse(a, v_why, e); end if;
    if not fp.may_be_assigned(a, p_assigned_to) then return fp.refuse(a, 'assignee', e); end if;
    update fp.hop set ended_at = a.at, ended_how = case when p_fence is null then 'lapsed' else 'released' end
        where team_id = a.team_id and escalation_id = p_id and number = e.hop_count;
    update fp.escalation x set state = 'open', handler = null, lease_until = null, claimed_at = null,
            fence = x.fence + 1, created_by = a.engineer_id, raised_at = a.at, assigned_to = p_assigned_to,
            expires_at = a.at + x.ttl, hop_count = x.hop_count + 1,
            reason = p_reason, summary = coalesce(p_summary, x.summary),
            step_count = coalesce(p_step_count, x.step_count),
            package_schema = coalesce(p_package_schema, x.package_schema),
            package_size = coalesce(octet_length(p_package), x.package_size),
            version = x.version + 1, team_seq = a.seq + 1
        where x.team_id = a.team_id and x.id = p_id returning * into n;
    insert into fp.hop (team_id, escalation_id, number, raised_by, raised_at, reason, assigned_to, package, package_schema)
        values (a.team_id, p_id, n.hop_count, a.engineer_id, a.at, p_reason, p_assigned_to, p_package, p_package_schema);
    return fp.accept(a, n);
end $$;

create function fp.withdraw(p_api int, p_op uuid, p_id uuid, p_lease int) returns jsonb
language plpgsql as $$
declare a fp.actor; r jsonb; e fp.escalation; n fp.escalation; v_why text;
begin
    a := fp.enter(p_api, p_op, 'withdraw', jsonb_build_array(p_id, p_lease));
    r := fp.earlier(a);
    if r is not null then return r; end if;
    select * into e from fp.escalation where team_id = a.team_id and id = p_id for update;
    v_why := case
        when e.id is null then 'absent'
        when e.ended_at is not null then 'ended'
        when e.created_by <> a.engineer_id then 'not_allowed'
        when e.state = 'claimed' then 'picked_up' end;
    if v_why is not null then return fp.refuse(a, v_why, e); end if;
    update fp.hop set ended_at = a.at, ended_how = 'withdrawn'
        where team_id = a.team_id and escalation_id = p_id and number = e.hop_count;
    if e.originator = a.engineer_id then  -- the session goes on where it began
        update fp.escalation x set state = 'cancelled', ended_at = a.at, fence = x.fence + 1,
                version = x.version + 1, team_seq = a.seq + 1
            where x.team_id = a.team_id and x.id = p_id returning * into n;
    else                                  -- the handler of before has it again
        update fp.escalation x set state = 'claimed', handler = a.engineer_id, fence = x.fence + 1,
                claimed_at = a.at, lease_until = fp.lease(a, p_lease), hop_count = x.hop_count + 1,
                assigned_to = null, version = x.version + 1, team_seq = a.seq + 1
            where x.team_id = a.team_id and x.id = p_id returning * into n;
        insert into fp.hop (team_id, escalation_id, number, raised_by, raised_at, reason, picked_up_by, picked_up_at)
            values (a.team_id, p_id, n.hop_count, a.engineer_id, a.at, e.reason, a.engineer_id, a.at);
    end if;
    return fp.accept(a, n);
end $$;

create function fp.cancel(p_api int, p_op uuid, p_id uuid, p_reason text) returns jsonb
language plpgsql as $$
declare a fp.actor; r jsonb; e fp.escalation; n fp.escalation; v_why text;
begin
    if p_reason is null then raise exception 'incomplete' using errcode = 'FP400'; end if;
    perform fp.check_texts(null, p_reason, null, null);
    a := fp.enter(p_api, p_op, 'cancel', jsonb_build_array(p_id, p_reason));
    r := fp.earlier(a);
    if r is not null then return r; end if;
    select * into e from fp.escalation where team_id = a.team_id and id = p_id for update;
    v_why := case
        when e.id is null then 'absent'
        when e.ended_at is not null then 'ended'
        when e.originator <> a.engineer_id then 'not_allowed'
        when e.state = 'claimed' then 'picked_up' end;
    if v_why is not null then return fp.refuse(a, v_why, e); end if;
    update fp.escalation x set state = 'cancelled', ended_at = a.at, outcome = p_reason, fence = x.fence + 1,
            version = x.version + 1, team_seq = a.seq + 1
        where x.team_id = a.team_id and x.id = p_id returning * into n;
    update fp.hop set ended_at = a.at, ended_how = 'cancelled'
        where team_id = a.team_id and escalation_id = p_id and number = e.hop_count;
    return fp.accept(a, n);
end $$;

create function fp.reassign(p_api int, p_op uuid, p_id uuid, p_assigned_to uuid) returns jsonb
language plpgsql as $$
declare a fp.actor; r jsonb; e fp.escalation; n fp.escalation; v_why text;
begin
    a := fp.enter(p_api, p_op, 'reassign', jsonb_build_array(p_id, p_assigned_to));
    r := fp.earlier(a);
    if r is not null then return r; end if;
    select * into e from fp.escalation where team_id = a.team_id and id = p_id for update;
    v_why := case
        when e.id is null then 'absent'
        when e.ended_at is not null then 'ended'
        when a.engineer_id not in (e.created_by, e.originator) then 'not_allowed'
        when e.state = 'claimed' then 'picked_up'
        when p_assigned_to = e.created_by or not fp.may_be_assigned(a, p_assigned_to) then 'assignee' end;
    if v_why is not null then return fp.refuse(a, v_why, e); end if;
    update fp.escalation x set assigned_to = p_assigned_to, version = x.version + 1, team_seq = a.seq + 1
        where x.team_id = a.team_id and x.id = p_id returning * into n;
    update fp.hop set assigned_to = p_assigned_to
        where team_id = a.team_id and escalation_id = p_id and number = e.hop_count;
    return fp.accept(a, n);
end $$;

create function fp.resolve(p_api int, p_op uuid, p_id uuid, p_fence bigint, p_outcome text) returns jsonb
language plpgsql as $$
declare a fp.actor; r jsonb; e fp.escalation; n fp.escalation; v_why text;
begin
    if p_fence is null or p_outcome is null then raise exception 'incomplete' using errcode = 'FP400'; end if;
    if length(p_outcome) > 20000 then raise exception 'too large' using errcode = 'FP413'; end if;
    a := fp.enter(p_api, p_op, 'resolve', jsonb_build_array(p_id, p_fence, p_outcome));
    r := fp.earlier(a);
    if r is not null then return r; end if;
    select * into e from fp.escalation where team_id = a.team_id and id = p_id for update;
    v_why := fp.held(e, a, p_fence);
    if v_why is not null then return fp.refuse(a, v_why, e); end if;
    update fp.escalation x set state = 'resolved', ended_at = a.at, outcome = p_outcome, lease_until = null,
            version = x.version + 1, team_seq = a.seq + 1
        where x.team_id = a.team_id and x.id = p_id returning * into n;
    update fp.hop set ended_at = a.at, ended_how = 'resolved'
        where team_id = a.team_id and escalation_id = p_id and number = e.hop_count;
    return fp.accept(a, n);
end $$;

create function fp.append_steps(p_api int, p_op uuid, p_id uuid, p_fence bigint, p_steps bytea[]) returns jsonb
language plpgsql as $$
declare a fp.actor; r jsonb; e fp.escalation; n fp.escalation; v_why text; v_count int; v_bytes bigint;
        v_longest bigint; v_digest bytea;
begin
    select count(*), sum(octet_length(s)), max(octet_length(s)), sha256(string_agg(sha256(s), '' order by i))
        into v_count, v_bytes, v_longest, v_digest
        from unnest(p_steps) with ordinality as u(s, i) where s is not null;
    if p_fence is null or coalesce(v_count, 0) = 0 or v_count <> cardinality(p_steps) then
        raise exception 'incomplete' using errcode = 'FP400';
    end if;
    if v_count > 50 or v_longest > 262144 or v_bytes > 2097152 then
        raise exception 'too large' using errcode = 'FP413';
    end if;
    a := fp.enter(p_api, p_op, 'append_steps', jsonb_build_array(p_id, p_fence, v_count), v_digest);
    r := fp.earlier(a);
    if r is not null then return r; end if;
    select * into e from fp.escalation where team_id = a.team_id and id = p_id for update;
    v_why := fp.held(e, a, p_fence);
    if v_why is null and e.steps_appended + v_count > 1000 then v_why := 'full'; end if;
    if v_why is not null then return fp.refuse(a, v_why, e); end if;
    insert into fp.step (team_id, escalation_id, number, engineer_id, at, payload)
        select a.team_id, p_id, e.steps_appended + i, a.engineer_id, a.at, s
        from unnest(p_steps) with ordinality as u(s, i);
    update fp.escalation x set steps_appended = x.steps_appended + v_count, version = x.version + 1,
            team_seq = a.seq + 1
        where x.team_id = a.team_id and x.id = p_id returning * into n;
    return fp.accept(a, n);
end $$;

create function fp.sweep(p_api int) returns int
language plpgsql as $$
declare a fp.actor; v_id uuid; v_count int := 0;
begin
    if not exists (select 1 from fp.escalation where team_id = fp.my_team() and state = 'open'
                   and expires_at <= clock_timestamp()) then
        return 0;
    end if;
    a := fp.enter(p_api, null, 'expire', '[]');
    for v_id in select id from fp.escalation where team_id = a.team_id and state = 'open' and expires_at <= a.at
                order by id limit 100 for update loop
        perform fp.expire(a, v_id);
        a.seq := a.seq + 1;
        v_count := v_count + 1;
    end loop;
    return v_count;
end $$;

-- Readers.

create type fp.reader as (team_id uuid, engineer_id uuid, epoch uuid, seq bigint, floor_seq bigint);

create function fp.look(p_api int) returns fp.reader
language plpgsql stable as $$
declare v fp.reader; v_min int;
begin
    select t.id, l.engineer_id, m.epoch, t.seq, t.floor_seq, m.min_api
        into v.team_id, v.engineer_id, v.epoch, v.seq, v.floor_seq, v_min
        from fp.login l join fp.team t on t.id = l.team_id cross join fp.meta m
        where l.role_name = session_user and l.active;
    if v.team_id is null then
        raise exception 'no active member' using errcode = 'FP403';
    end if;
    if p_api < v_min then
        raise exception 'client too old' using errcode = 'FP426';
    end if;
    return v;
end $$;

create function fp.escalation_json(e fp.escalation) returns jsonb
language sql immutable as $$
select jsonb_build_object('id', e.id, 'session_id', e.session_id, 'state', e.state, 'version', e.version,
    'team_seq', e.team_seq, 'fence', e.fence, 'originator', e.originator, 'created_by', e.created_by,
    'assigned_to', e.assigned_to, 'handler', e.handler, 'created_at', e.created_at, 'raised_at', e.raised_at,
    'claimed_at', e.claimed_at, 'lease_until', e.lease_until, 'expires_at', e.expires_at,
    'ended_at', e.ended_at, 'reason', e.reason, 'summary', e.summary, 'ticket_number', e.ticket_number,
    'step_count', e.step_count, 'hop_count', e.hop_count, 'steps_appended', e.steps_appended,
    'package_schema', e.package_schema, 'package_size', e.package_size, 'outcome', e.outcome) $$;

create function fp.changes(p_api int, p_epoch uuid, p_after bigint, p_limit int) returns jsonb
language plpgsql stable as $$
declare v fp.reader := fp.look(p_api); v_rows jsonb := '[]'; v_resync boolean;
begin
    -- Another epoch, purged below the cursor, restored to before the cursor, or hopelessly behind.
    v_resync := p_epoch is distinct from v.epoch or p_after is null or p_after < v.floor_seq
        or p_after > v.seq or v.seq - p_after > 5000;
    if not v_resync and p_after < v.seq then
        select coalesce(jsonb_agg(fp.escalation_json(x.e) order by (x.e).team_seq), '[]') into v_rows from (
            select e from fp.escalation e where e.team_id = v.team_id and e.team_seq > p_after
            order by e.team_seq limit least(greatest(coalesce(p_limit, 100), 1), 200)) x;
    end if;
    return jsonb_build_object('resync', v_resync, 'epoch', v.epoch, 'head', v.seq, 'rows', v_rows,
        'now', clock_timestamp());
end $$;

create function fp.snapshot(p_api int, p_after bigint, p_limit int) returns jsonb
language plpgsql stable as $$
declare v fp.reader := fp.look(p_api); v_rows jsonb; v_limit int := least(greatest(coalesce(p_limit, 100), 1), 200);
        v_since timestamptz := clock_timestamp() - interval '30 days';
begin
    select coalesce(jsonb_agg(fp.escalation_json(y.e) order by (y.e).team_seq), '[]') into v_rows from (
        select x.e from (
            (select e from fp.escalation e where e.team_id = v.team_id and e.ended_at is null
                and e.team_seq > p_after order by e.team_seq limit v_limit)
            union all
            (select e from fp.escalation e where e.team_id = v.team_id and e.originator = v.engineer_id
                and e.ended_at > v_since and e.team_seq > p_after order by e.team_seq limit v_limit)
            union all
            (select e from fp.escalation e where e.team_id = v.team_id and e.handler = v.engineer_id
                and e.originator <> v.engineer_id and e.ended_at > v_since and e.team_seq > p_after
                order by e.team_seq limit v_limit)
        ) x order by (x.e).team_seq limit v_limit) y;
    return jsonb_build_object('epoch', v.epoch, 'head', v.seq, 'rows', v_rows, 'more',
        jsonb_array_length(v_rows) = v_limit, 'now', clock_timestamp());
end $$;

create function fp.one(p_api int, p_id uuid) returns jsonb
language plpgsql stable as $$
declare v fp.reader := fp.look(p_api);
begin
    return (select fp.escalation_json(e) from fp.escalation e where e.team_id = v.team_id and e.id = p_id);
end $$;

create function fp.hop_json(h fp.hop) returns jsonb
language sql immutable as $$
select jsonb_build_object('number', h.number, 'raised_by', h.raised_by, 'raised_at', h.raised_at,
    'reason', h.reason, 'assigned_to', h.assigned_to, 'picked_up_by', h.picked_up_by,
    'picked_up_at', h.picked_up_at, 'ended_at', h.ended_at, 'ended_how', h.ended_how) $$;

create function fp.hops(p_api int, p_id uuid) returns jsonb  -- null: absent, or not yours
language plpgsql stable as $$
declare v fp.reader := fp.look(p_api);
begin
    return (select jsonb_agg(fp.hop_json(h) order by h.number) from fp.hop h
            where h.team_id = v.team_id and h.escalation_id = p_id);
end $$;

create function fp.steps(p_api int, p_id uuid, p_after int, p_limit int)
returns table (number int, engineer_id uuid, at timestamptz, payload bytea)
language plpgsql stable as $$
declare v fp.reader := fp.look(p_api);
begin
    if not exists (select 1 from fp.escalation e where e.team_id = v.team_id and e.id = p_id) then
        raise exception 'absent' using errcode = 'FP404';
    end if;
    return query select s.number, s.engineer_id, s.at, s.payload from fp.step s
        where s.team_id = v.team_id and s.escalation_id = p_id and s.number > p_after
        order by s.number limit least(greatest(coalesce(p_limit, 20), 1), 50);
end $$;

create function fp.package(p_api int, p_id uuid) returns table (package_schema int, payload bytea)
language plpgsql stable as $$
declare v fp.reader := fp.look(p_api);
begin
    return query select h.package_schema, h.package from fp.hop h
        where h.team_id = v.team_id and h.escalation_id = p_id and h.package is not null
        order by h.number desc limit 1;
    if not found then
        raise exception 'absent' using errcode = 'FP404';
    end if;
end $$;

create function fp.member_json(m fp.member) returns jsonb
language sql immutable as $$
select jsonb_build_object('engineer_id', m.engineer_id, 'display', m.display, 'active', m.active) $$;

create function fp.members(p_api int) returns jsonb
language plpgsql stable as $$
declare v fp.reader := fp.look(p_api);
begin
    return (select jsonb_agg(fp.member_json(m) order by lower(m.display), m.engineer_id)
            from fp.member m where m.team_id = v.team_id);
end $$;

create function fp.features() returns jsonb
language sql immutable as $$ select '[]'::jsonb $$;

create function fp.hello(p_api int) returns jsonb
language plpgsql stable as $$
declare v fp.reader := fp.look(p_api); m fp.meta; t fp.team;
begin
    select * into m from fp.meta;
    select * into t from fp.team where id = v.team_id;
    return jsonb_build_object('schema_version', m.schema_version, 'min_api', m.min_api,
        'min_api_write', m.min_api_write, 'epoch', m.epoch, 'team_id', t.id, 'team_name', t.name,
        'channel', t.channel, 'head', t.seq, 'features', fp.features(), 'now', clock_timestamp(),
        'read_only', pg_is_in_recovery() or current_setting('transaction_read_only') = 'on',
        'me', (select fp.member_json(x) from fp.member x
               where x.team_id = v.team_id and x.engineer_id = v.engineer_id));
end $$;

-- The wire contract, version 1.

create function fp_v1.hello() returns jsonb language sql stable security definer
set search_path = pg_catalog, pg_temp set row_security = on as $$ select fp.hello(1) $$;

create function fp_v1.members() returns jsonb language sql stable security definer
set search_path = pg_catalog, pg_temp set row_security = on as $$ select fp.members(1) $$;

create function fp_v1.changes(p_epoch uuid, p_after bigint, p_limit int) returns jsonb language sql stable security definer
set search_path = pg_catalog, pg_temp set row_security = on as $$ select fp.changes(1, p_epoch, p_after, p_limit) $$;

create function fp_v1.snapshot(p_after bigint, p_limit int) returns jsonb language sql stable security definer
set search_path = pg_catalog, pg_temp set row_security = on as $$ select fp.snapshot(1, p_after, p_limit) $$;

create function fp_v1.escalation(p_id uuid) returns jsonb language sql stable security definer
set search_path = pg_catalog, pg_temp set row_security = on as $$ select fp.one(1, p_id) $$;

create function fp_v1.hops(p_id uuid) returns jsonb language sql stable security definer
set search_path = pg_catalog, pg_temp set row_security = on as $$ select fp.hops(1, p_id) $$;

create function fp_v1.steps(p_id uuid, p_after int, p_limit int)
returns table (number int, engineer_id uuid, at timestamptz, payload bytea) language sql stable security definer
set search_path = pg_catalog, pg_temp set row_security = on as $$ select * from fp.steps(1, p_id, p_after, p_limit) $$;

create function fp_v1.package(p_id uuid) returns table (package_schema int, payload bytea) language sql stable security definer
set search_path = pg_catalog, pg_temp set row_security = on as $$ select * from fp.package(1, p_id) $$;

create function fp_v1.escalate(p_op uuid, p_id uuid, p_session uuid, p_summary text, p_reason text, p_ticket text,
    p_step_count int, p_assigned_to uuid, p_package bytea, p_package_schema int, p_expires_in int) returns jsonb
language sql security definer set search_path = pg_catalog, pg_temp set row_security = on set lock_timeout = '5s' as $$
select fp.escalate(1, p_op, p_id, p_session, p_summary, p_reason, p_ticket, p_step_count, p_assigned_to, p_package,
    p_package_schema, p_expires_in) $$;

create function fp_v1.pick_up(p_op uuid, p_id uuid, p_lease int) returns jsonb
language sql security definer set search_path = pg_catalog, pg_temp set row_security = on set lock_timeout = '5s' as $$
select fp.pick_up(1, p_op, p_id, p_lease) $$;

create function fp_v1.renew(p_id uuid, p_fence bigint, p_lease int) returns jsonb
language sql security definer set search_path = pg_catalog, pg_temp set row_security = on set lock_timeout = '5s' as $$
select fp.renew(1, p_id, p_fence, p_lease) $$;

create function fp_v1.release(p_op uuid, p_id uuid, p_fence bigint, p_reason text, p_summary text, p_step_count int,
    p_assigned_to uuid, p_package bytea, p_package_schema int) returns jsonb
language sql security definer set search_path = pg_catalog, pg_temp set row_security = on set lock_timeout = '5s' as $$
select fp.release(1, p_op, p_id, p_fence, p_reason, p_summary, p_step_count, p_assigned_to, p_package, p_package_schema) $$;

create function fp_v1.withdraw(p_op uuid, p_id uuid, p_lease int) returns jsonb
language sql security definer set search_path = pg_catalog, pg_temp set row_security = on set lock_timeout = '5s' as $$
select fp.withdraw(1, p_op, p_id, p_lease) $$;

create function fp_v1.cancel(p_op uuid, p_id uuid, p_reason text) returns jsonb
language sql security definer set search_path = pg_catalog, pg_temp set row_security = on set lock_timeout = '5s' as $$
select fp.cancel(1, p_op, p_id, p_reason) $$;

create function fp_v1.reassign(p_op uuid, p_id uuid, p_assigned_to uuid) returns jsonb
language sql security definer set search_path = pg_catalog, pg_temp set row_security = on set lock_timeout = '5s' as $$
select fp.reassign(1, p_op, p_id, p_assigned_to) $$;

create function fp_v1.resolve(p_op uuid, p_id uuid, p_fence bigint, p_outcome text) returns jsonb
language sql security definer set search_path = pg_catalog, pg_temp set row_security = on set lock_timeout = '5s' as $$
select fp.resolve(1, p_op, p_id, p_fence, p_outcome) $$;

create function fp_v1.append_steps(p_op uuid, p_id uuid, p_fence bigint, p_steps bytea[]) returns jsonb
language sql security definer set search_path = pg_catalog, pg_temp set row_security = on set lock_timeout = '5s' as $$
select fp.append_steps(1, p_op, p_id, p_fence, p_steps) $$;

create function fp_v1.sweep() returns int
language sql security definer set search_path = pg_catalog, pg_temp set row_security = on set lock_timeout = '5s' as $$
select fp.sweep(1) $$;

create function fp_v1.nudge() returns void  -- after the commit, in a transaction of its own
language sql security definer set search_path = pg_catalog, pg_temp set row_security = on as $$
select pg_notify(t.channel, '') from fp.team t where t.id = fp.my_team() $$;

revoke all on all functions in schema fp, fp_v1 from public;
grant usage on schema fp_v1 to @engineer@;
grant execute on all functions in schema fp_v1 to @engineer@;
