-- Uploads and what becomes of them: bytes on their way in, images and videos that members see.
--
-- Same version, tables and columns as ../sqlite/0004.

create table media (
    id bigint primary key not null,
    owner_id bigint not null references users (id),
    public_id text not null unique,     -- random; what addresses below /media/ hold
    kind text not null,                 -- image, video
    state text not null,                -- processing, ready, failed
    failure text,                       -- why it failed: a code that the API puts into words
    title text not null,
    description text not null,
    original_name text not null,        -- as the client named the file, made harmless
    content_type text not null,         -- by content, never by name
    bytes bigint not null,             -- of all its objects together
    width bigint,                      -- as shown, after orientation
    height bigint,
    duration bigint,                   -- 90 kHz ticks
    blurhash text,
    live_id bigint references lives (id) on delete set null,  -- the recording of this live
    is_appropriate boolean not null,
    approval_status text not null,      -- pending, approved, rejected, inappropriate
    moderation_score double precision,
    created_at bigint not null,
    updated_at bigint not null,
    deleted_at bigint,                 -- garbage: its objects go, then the row
    check ((state = 'failed') = (failure is not null))
);
create index media_owner on media (owner_id, id) where deleted_at is null;
create index media_garbage on media (id) where deleted_at is not null;
create index media_processing on media (id) where state = 'processing';
create index media_live on media (live_id) where live_id is not null;

-- What of a medium can be fetched, by the name in its address. Written after the object is there.
create table media_files (
    media_id bigint not null references media (id) on delete cascade,
    name text not null,                 -- file.jpg, 300.webp, poster.jpg
    path text not null,                 -- object key
    content_type text not null,
    bytes bigint not null,
    width bigint,
    height bigint,
    etag text not null,                 -- strong, without quotes
    created_at bigint not null,
    primary key (media_id, name)
);

create table uploads (
    id bigint primary key not null,
    owner_id bigint not null references users (id),
    door text not null,                 -- multipart, tus, recording
    state text not null,                -- receiving, received, accepted, refused
    length bigint,                     -- null while it is not declared
    received bigint not null,          -- bytes that are durable; the spool may hold more
    metadata text not null,             -- as tus carries it, echoed
    title text not null,
    description text not null,
    original_name text not null,
    live_id bigint references lives (id) on delete set null,
    media_id bigint references media (id) on delete set null,
    refusal text,                       -- why it was refused: a code that the API puts into words
    node text,                          -- whose spool holds the bytes
    created_at bigint not null,
    updated_at bigint not null,
    expires_at bigint not null,
    check ((state = 'refused') = (refusal is not null)),
    check (length is null or received <= length)
);
create index uploads_owner on uploads (owner_id, id);
create index uploads_expiry on uploads (expires_at);
create index uploads_state on uploads (state, id);
