-- Work that outlives a request: done by whichever process takes it, again until it is done.
--
-- Same version, tables and columns as ../postgres/0003.

create table jobs (
    id integer primary key not null,
    kind text not null,
    payload text not null,              -- JSON, opaque here
    subject text,                       -- what it is about, as in media:123; for progress
    node text,                          -- set: only processes on this data folder can do it
    dedupe_key text,                    -- one queued or running job for each
    priority integer not null,          -- larger is sooner
    state text not null,                -- queued, running, done, failed, cancelled
    run_at integer not null,            -- not before
    attempts integer not null,          -- counted when one begins
    max_attempts integer not null,
    lost integer not null,              -- attempts whose process died
    cancel_requested integer not null,
    lease text,                         -- random, anew for each attempt; only its holder may write
    lease_until integer,
    worker text,                        -- who holds or held it, for people
    stage text,                         -- progress, for members
    percent integer,
    reason text,                        -- why it failed, a word for members
    last_error text,                    -- the same for operators
    created_at integer not null,
    started_at integer,                 -- the first attempt
    ended_at integer,
    check ((state = 'running') = (lease is not null)),
    check ((state = 'running') = (lease_until is not null)),
    check ((state in ('done', 'failed', 'cancelled')) = (ended_at is not null))
) strict;
create index jobs_queued on jobs (priority desc, run_at, id) where state = 'queued';
create index jobs_running on jobs (lease_until) where state = 'running';
create index jobs_ended on jobs (ended_at) where ended_at is not null;
create index jobs_subject on jobs (subject, id) where subject is not null;
create unique index jobs_one_active_per_key on jobs (dedupe_key)
    where dedupe_key is not null and state in ('queued', 'running');
