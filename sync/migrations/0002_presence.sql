-- Version 2: the receiver's read-back is kept with the claim, and members are seen.
--
-- Expands only: fp_v1 stays as it was and its clients go on writing. fp_v2 is complete in
-- itself, so that fp_v1 can be dropped by a later migration when nobody speaks it any more.

create schema fp_v2;

alter table fp.escalation add column read_back text not null default '' check (length(read_back) <= 2000);
alter table fp.hop add column read_back text not null default '' check (length(read_back) <= 2000);

create table fp.presence (                          -- apart from fp.member: written often, read rarely
    team_id uuid not null,
    engineer_id uuid not null,
    last_seen timestamptz not null,
    primary key (team_id, engineer_id),
    foreign key (team_id, engineer_id) references fp.member on delete cascade
);
alter table fp.presence enable row level security;
alter table fp.presence force row level security;
create policy administration on fp.presence to @admin@ using (true) with check (true);
create policy own_team on fp.presence to @owner@
    using (team_id = (select fp.my_team())) with check (team_id = (select fp.my_team()));
grant select, insert, update, delete on fp.presence to @admin@;

update fp.meta set schema_version = 2;

create or replace function fp.features() returns jsonb
language sql immutable as $$ select '["read_back", "presence"]'::jsonb $$;

create or replace function fp.escalation_json(e fp.escalation) returns jsonb
language sql immutable as $$
select jsonb_build_object('id', e.id, 'session_id', e.session_id, 'state', e.state, 'version', e.version,
    'team_seq', e.team_seq, 'fence', e.fence, 'originator', e.originator, 'created_by', e.created_by,
    'assigned_to', e.assigned_to, 'handler', e.handler, 'created_at', e.created_at, 'raised_at', e.raised_at,
    'claimed_at', e.claimed_at, 'lease_until', e.lease_until, 'expires_at', e.expires_at,
    'ended_at', e.ended_at, 'reason', e.reason, 'summary', e.summary, 'ticket_number', e.ticket_number,
    'step_count', e.step_count, 'hop_count', e.hop_count, 'steps_appended', e.steps_appended,
    'package_schema', e.package_schema, 'package_size', e.package_size, 'outcome', e.outcome,
    'read_back', e.read_back) $$;

create or replace function fp.hop_json(h fp.hop) returns jsonb
language sql immutable as $$
select jsonb_build_object('number', h.number, 'raised_by', h.raised_by, 'raised_at', h.raised_at,
    'reason', h.reason, 'assigned_to', h.assigned_to, 'picked_up_by', h.picked_up_by,
    'picked_up_at', h.picked_up_at, 'read_back', h.read_back, 'ended_at', h.ended_at,
    'ended_how', h.ended_how) $$;

-- Every change of hands starts with an empty read-back, whichever version of a client makes it.
create function fp.clear_read_back() returns trigger
language plpgsql as $$
begin
    if new.fence <> old.fence then new.read_back := ''; end if;
    return new;
end $$;
create trigger clear_read_back before update of fence on fp.escalation
    for each row execute function fp.clear_read_back();

-- The digest of an operation is the same in every version: a pickup whose answer was lost before
-- the migration is found again after it. Its read-back is then stored late rather than lost.
create function fp.pick_up_reading_back(p_op uuid, p_id uuid, p_lease int, p_read_back text) returns jsonb
language plpgsql as $$
declare r jsonb; a fp.actor; e fp.escalation;
begin
    if p_read_back is null then raise exception 'incomplete' using errcode = 'FP400'; end if;
    if length(p_read_back) > 2000 then raise exception 'too large' using errcode = 'FP413'; end if;
    r := fp.pick_up(2, p_op, p_id, p_lease);
    if not (r ->> 'ok')::boolean or p_read_back = '' then
        return r;
    end if;
    a := fp.enter(2, null, 'read_back', '[]');
    update fp.escalation x set read_back = p_read_back, version = x.version + 1, team_seq = a.seq + 1
        where x.team_id = a.team_id and x.id = p_id and x.state = 'claimed' and x.handler = a.engineer_id
            and x.fence = (r ->> 'fence')::bigint and x.read_back = ''
        returning * into e;
    if e.id is not null then
        update fp.hop set read_back = p_read_back
            where team_id = e.team_id and escalation_id = p_id and number = e.hop_count;
        perform fp.record(a, e);
        -- The first answer names what it left behind, so that every repeat does.
        update fp.op set answer = answer || jsonb_build_object('version', e.version, 'team_seq', e.team_seq)
            where team_id = a.team_id and engineer_id = a.engineer_id and op_id = p_op;
        r := r || jsonb_build_object('version', e.version, 'team_seq', e.team_seq);
    end if;
    return r;
end $$;

create function fp.heartbeat() returns void
language plpgsql as $$
declare v fp.reader := fp.look(2);
begin
    if pg_is_in_recovery() or exists (select 1 from fp.presence p where p.team_id = v.team_id
            and p.engineer_id = v.engineer_id and p.last_seen > clock_timestamp() - interval '1 minute') then
        return;
    end if;
    insert into fp.presence as p (team_id, engineer_id, last_seen)
        values (v.team_id, v.engineer_id, clock_timestamp())
        on conflict (team_id, engineer_id) do update set last_seen = excluded.last_seen;
end $$;

create or replace function fp.members(p_api int) returns jsonb
language plpgsql stable as $$
declare v fp.reader := fp.look(p_api);
begin
    return (select jsonb_agg(fp.member_json(m) || jsonb_build_object('last_seen', p.last_seen)
                             order by lower(m.display), m.engineer_id)
            from fp.member m left join fp.presence p on p.team_id = m.team_id and p.engineer_id = m.engineer_id
            where m.team_id = v.team_id);
end $$;

-- The wire contract, version 2.

create function fp_v2.hello() returns jsonb language sql stable security definer
set search_path = pg_catalog, pg_temp set row_security = on as $$ select fp.hello(2) $$;

create function fp_v2.members() returns jsonb language sql stable security definer
set search_path = pg_catalog, pg_temp set row_security = on as $$ select fp.members(2) $$;

create function fp_v2.heartbeat() returns void language sql security definer
set search_path = pg_catalog, pg_temp set row_security = on set lock_timeout = '5s' as $$ select fp.heartbeat() $$;

create function fp_v2.changes(p_epoch uuid, p_after bigint, p_limit int) returns jsonb language sql stable security definer
set search_path = pg_catalog, pg_temp set row_security = on as $$ select fp.changes(2, p_epoch, p_after, p_limit) $$;

create function fp_v2.snapshot(p_after bigint, p_limit int) returns jsonb language sql stable security definer
set search_path = pg_catalog, pg_temp set row_security = on as $$ select fp.snapshot(2, p_after, p_limit) $$;

create function fp_v2.escalation(p_id uuid) returns jsonb language sql stable security definer
set search_path = pg_catalog, pg_temp set row_security = on as $$ select fp.one(2, p_id) $$;

create function fp_v2.hops(p_id uuid) returns jsonb language sql stable security definer
set search_path = pg_catalog, pg_temp set row_security = on as $$ select fp.hops(2, p_id) $$;

create function fp_v2.steps(p_id uuid, p_after int, p_limit int)
returns table (number int, engineer_id uuid, at timestamptz, payload bytea) language sql stable security definer
set search_path = pg_catalog, pg_temp set row_security = on as $$ select * from fp.steps(2, p_id, p_after, p_limit) $$;

create function fp_v2.package(p_id uuid) returns table (package_schema int, payload bytea) language sql stable security definer
set search_path = pg_catalog, pg_temp set row_security = on as $$ select * from fp.package(2, p_id) $$;

create function fp_v2.escalate(p_op uuid, p_id uuid, p_session uuid, p_summary text, p_reason text, p_ticket text,
    p_step_count int, p_assigned_to uuid, p_package bytea, p_package_schema int, p_expires_in int) returns jsonb
language sql security definer set search_path = pg_catalog, pg_temp set row_security = on set lock_timeout = '5s' as $$
select fp.escalate(2, p_op, p_id, p_session, p_summary, p_reason, p_ticket, p_step_count, p_assigned_to, p_package,
    p_package_schema, p_expires_in) $$;

create function fp_v2.pick_up(p_op uuid, p_id uuid, p_lease int, p_read_back text) returns jsonb
language sql security definer set search_path = pg_catalog, pg_temp set row_security = on set lock_timeout = '5s' as $$
select fp.pick_up_reading_back(p_op, p_id, p_lease, p_read_back) $$;

create function fp_v2.renew(p_id uuid, p_fence bigint, p_lease int) returns jsonb
language sql security definer set search_path = pg_catalog, pg_temp set row_security = on set lock_timeout = '5s' as $$
select fp.renew(2, p_id, p_fence, p_lease) $$;

create function fp_v2.release(p_op uuid, p_id uuid, p_fence bigint, p_reason text, p_summary text, p_step_count int,
    p_assigned_to uuid, p_package bytea, p_package_schema int) returns jsonb
language sql security definer set search_path = pg_catalog, pg_temp set row_security = on set lock_timeout = '5s' as $$
select fp.release(2, p_op, p_id, p_fence, p_reason, p_summary, p_step_count, p_assigned_to, p_package, p_package_schema) $$;

create function fp_v2.withdraw(p_op uuid, p_id uuid, p_lease int) returns jsonb
language sql security definer set search_path = pg_catalog, pg_temp set row_security = on set lock_timeout = '5s' as $$
select fp.withdraw(2, p_op, p_id, p_lease) $$;

create function fp_v2.cancel(p_op uuid, p_id uuid, p_reason text) returns jsonb
language sql security definer set search_path = pg_catalog, pg_temp set row_security = on set lock_timeout = '5s' as $$
select fp.cancel(2, p_op, p_id, p_reason) $$;

create function fp_v2.reassign(p_op uuid, p_id uuid, p_assigned_to uuid) returns jsonb
language sql security definer set search_path = pg_catalog, pg_temp set row_security = on set lock_timeout = '5s' as $$
select fp.reassign(2, p_op, p_id, p_assigned_to) $$;

create function fp_v2.resolve(p_op uuid, p_id uuid, p_fence bigint, p_outcome text) returns jsonb
language sql security definer set search_path = pg_catalog, pg_temp set row_security = on set lock_timeout = '5s' as $$
select fp.resolve(2, p_op, p_id, p_fence, p_outcome) $$;

create function fp_v2.append_steps(p_op uuid, p_id uuid, p_fence bigint, p_steps bytea[]) returns jsonb
language sql security definer set search_path = pg_catalog, pg_temp set row_security = on set lock_timeout = '5s' as $$
select fp.append_steps(2, p_op, p_id, p_fence, p_steps) $$;

create function fp_v2.sweep() returns int
language sql security definer set search_path = pg_catalog, pg_temp set row_security = on set lock_timeout = '5s' as $$
select fp.sweep(2) $$;

create function fp_v2.nudge() returns void
language sql security definer set search_path = pg_catalog, pg_temp set row_security = on as $$
select pg_notify(t.channel, '') from fp.team t where t.id = fp.my_team() $$;

revoke all on all functions in schema fp, fp_v2 from public;
grant usage on schema fp_v2 to @engineer@;
grant execute on all functions in schema fp_v2 to @engineer@;
