-- Recordings of videos: what a live leaves behind and what becomes of an upload are the same files and rows.
--
-- Same version, tables and columns as ../sqlite/0005.

alter table runs add column frame_rate double precision;    -- pictures per second, once it is final

-- only here: SQLite makes the table anew.
alter table recordings alter column live_id drop not null;
alter table recordings add column media_id bigint unique references media (id) on delete cascade;
alter table recordings add constraint recordings_of_one check ((live_id is null) <> (media_id is null));
