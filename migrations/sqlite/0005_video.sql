-- Recordings of videos: what a live leaves behind and what becomes of an upload are the same files and rows.
--
-- Same version, tables and columns as ../postgres/0005.

alter table runs add column frame_rate real;    -- pictures per second, once it is final

-- only here: SQLite cannot take a NOT NULL back, so the table is made anew. With the old way of renaming, the keys
-- of runs and gaps go on naming `recordings`, and nothing hangs off the table that is dropped.
pragma legacy_alter_table = on;
alter table recordings rename to recordings_before;
pragma legacy_alter_table = off;
create table recordings (
    id integer primary key not null,
    live_id integer unique references lives (id) on delete cascade,
    state text not null,                -- recording, finishing, ready, failed
    created_at integer not null,
    ready_at integer,
    stored_at integer,                  -- all bytes are in the object store, read back
    media_id integer unique references media (id) on delete cascade,
    constraint recordings_of_one check ((live_id is null) <> (media_id is null))
) strict;
insert into recordings (id, live_id, state, created_at, ready_at, stored_at)
    select id, live_id, state, created_at, ready_at, stored_at from recordings_before;
drop table recordings_before;
create index recordings_state on recordings (state, id);
