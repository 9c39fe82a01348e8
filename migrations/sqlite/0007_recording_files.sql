-- What a live leaves behind beside its runs: one WebM of it, its poster, its storyboard.
--
-- Same version, tables and columns as ../postgres/0007.

-- Written after the object is there.
create table recording_files (
    recording_id integer not null references recordings (id) on delete cascade,
    name text not null,                 -- recording.webm, poster.jpg, storyboard.jpg, storyboard.vtt
    path text not null,                 -- object key
    content_type text not null,
    bytes integer not null,
    duration integer,                   -- 90 kHz ticks
    width integer,
    height integer,
    etag text not null,                 -- strong, without quotes
    created_at integer not null,
    primary key (recording_id, name)
) strict;

-- When the jobs that follow a live's end were queued, in the same transaction. What ended under an earlier version is
-- left in peace: its files are made when they are asked for.
alter table recordings add column followed_up_at integer;
update recordings set followed_up_at = ready_at where state = 'ready' and live_id is not null;
create index recordings_to_follow_up on recordings (id)
    where state = 'ready' and live_id is not null and followed_up_at is null;
