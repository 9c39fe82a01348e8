-- Recordings of videos: what a live leaves behind and what becomes of an upload are the same files and rows.
--
-- Same version, tables and columns as ../postgres/0005.

alter table runs add column frame_rate real;        -- pictures per second, once it is final

-- Of a live or of a video: exactly one of the two.
alter table recordings add column media_id integer references media (id) on delete cascade
    check ((live_id is null) <> (media_id is null));
create unique index recordings_media on recordings (media_id);

-- only here: SQLite has no way to take a NOT NULL back but the one that its manual gives (lang_altertable.html, section
-- 7): a table made anew would take the runs that hang off it along. Renaming a column there and back makes SQLite read
-- what was written.
pragma writable_schema = on;
update sqlite_schema set sql = replace(sql, 'live_id integer not null unique', 'live_id integer unique')
    where type = 'table' and name = 'recordings';
pragma writable_schema = off;
alter table recordings rename column ready_at to ready_at_before;
alter table recordings rename column ready_at_before to ready_at;
