-- What a live leaves behind beside its runs: one WebM of it, its poster, its storyboard.
--
-- Same version, tables and columns as ../sqlite/0007.

-- Written after the object is there.
create table recording_files (
    recording_id bigint not null references recordings (id) on delete cascade,
    name text not null,                 -- recording.webm, poster.jpg, storyboard.jpg, storyboard.vtt
    path text not null,                 -- object key
    content_type text not null,
    bytes bigint not null,
    duration bigint,                   -- 90 kHz ticks
    width bigint,
    height bigint,
    etag text not null,                 -- strong, without quotes
    created_at bigint not null,
    primary key (recording_id, name)
);

-- When the jobs that follow a live's end were queued, in the same transaction. What ended under an earlier version is
-- left in peace: its files are made when they are asked for.
alter table recordings add column followed_up_at bigint;
update recordings set followed_up_at = ready_at where state = 'ready' and live_id is not null;
create index recordings_to_follow_up on recordings (id)
    where state = 'ready' and live_id is not null and followed_up_at is null;
