-- Objects behind S3: what of a run is on its way to the bucket, and when it was there.
--
-- Same version, tables and columns as ../postgres/0002.

alter table runs add column stored_at integer;     -- its object is there and was read back; the spool copy may go
update runs set stored_at = finished_at where state = 'final';
create index runs_unstored on runs (id) where state = 'final' and (stored_at is null or tree_sha256 is null);

-- The multipart upload of a run that is not stored yet; at most one. One that no row knows is aborted.
create table run_uploads (
    run_id integer primary key not null references runs (id) on delete cascade,
    upload_id text not null,            -- the server's name for it
    started_at integer not null
) strict;

-- Parts that the server has taken, 8 MiB each but the last.
create table run_parts (
    run_id integer not null references runs (id) on delete cascade,
    number integer not null,               -- from 1; part 1 comes last, its first bytes change at the end
    sha256 blob not null,
    etag text not null,                 -- from the answer to our own request, never from a list
    primary key (run_id, number)
) strict;
