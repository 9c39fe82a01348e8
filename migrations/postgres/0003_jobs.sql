-- Work that outlives a request: done by whichever process takes it, again until it is done.
--
-- Same version, tables and columns as ../sqlite/0003.

create table jobs (
    id bigint primary key not null,
    kind text not null,
    payload text not null,              -- JSON, opaque here
    subject text,                       -- what it is about, as in media:123; for progress
    node text,                          -- set: only processes on this data folder can do it
    dedupe_key text,                    -- one queued or running job for each
    priority bigint not null,          -- larger is sooner
    state text not null,                -- queued, running, done, failed, cancelled
    run_at bigint not null,            -- not before
    attempts bigint not null,          -- counted when one begins
    max_attempts bigint not null,
    lost bigint not null,              -- attempts whose process died
    cancel_requested boolean not null,
    lease text,                         -- random, anew for each attempt; only its holder may write
    lease_until bigint,
    worker text,                        -- who holds or held it, for people
    stage text,                         -- progress, for members
    percent bigint,
    reason text,                        -- why it failed, a word for members
    last_error text,                    -- the same for operators
    created_at bigint not null,
    started_at bigint,                 -- the first attempt
    ended_at bigint,
    check ((state = 'running') = (lease is not null)),
    check ((state = 'running') = (lease_until is not null)),
    check ((state in ('done', 'failed', 'cancelled')) = (ended_at is not null))
);
create index jobs_queued on jobs (priority desc, run_at, id) where state = 'queued';
create index jobs_running on jobs (lease_until) where state = 'running';
create index jobs_ended on jobs (ended_at) where ended_at is not null;
create index jobs_subject on jobs (subject, id) where subject is not null;
create unique index jobs_one_active_per_key on jobs (dedupe_key)
    where dedupe_key is not null and state in ('queued', 'running');
