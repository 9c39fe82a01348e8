-- Recordings of videos: what a live leaves behind and what becomes of an upload are the same files and rows.
--
-- Same version, tables and columns as ../sqlite/0005.

alter table runs add column frame_rate double precision;        -- pictures per second, once it is final

-- Of a live or of a video: exactly one of the two.
alter table recordings add column media_id bigint references media (id) on delete cascade
    check ((live_id is null) <> (media_id is null));
create unique index recordings_media on recordings (media_id);

-- only here: SQLite says it in another way.
alter table recordings alter column live_id drop not null;
