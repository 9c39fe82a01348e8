-- First light: members, places, lives and what they leave behind.
--
-- Same version, tables and columns as ../postgres/0001. Ids are made by the program (at most 53 bits),
-- moments are microseconds of UTC since 1970, durations on a timeline are 90 kHz ticks.
-- Applied files are never edited: add a new one.

create table regions (
    id integer primary key not null,
    nom text not null unique,
    code text,
    folded text not null            -- nom without accents and case, made by the program
) strict;

create table prefectures (
    id integer primary key not null,
    region_id integer not null references regions (id),
    nom text not null,
    code text,
    folded text not null,
    unique (region_id, nom)
) strict;

create table communes (
    id integer primary key not null,
    prefecture_id integer not null references prefectures (id),
    nom text not null,
    kind text not null,             -- `type` in the API
    code text,                      -- not unique: MAT twice
    folded text not null,
    unique (prefecture_id, nom)
) strict;

create table quartiers (
    id integer primary key not null,
    commune_id integer not null references communes (id),
    nom text not null,
    code text,
    folded text not null,
    population_estimee integer,
    superficie_km2 real,
    unique (commune_id, nom)
) strict;
create index quartiers_folded on quartiers (folded);

create table users (
    id integer primary key not null,
    username text not null unique,
    email text not null unique,     -- lower case
    password_hash text not null,    -- argon2id, PHC form
    first_name text not null,
    last_name text not null,
    phone_number text not null,
    date_of_birth text,             -- YYYY-MM-DD
    bio text not null,
    profile_picture text,
    quartier_id integer references quartiers (id),
    role text not null,
    is_verified integer not null,
    is_geographically_verified integer not null,
    is_active integer not null,
    date_joined integer not null,
    last_login integer,
    updated_at integer not null
) strict;

-- One key for each member. The key itself is in no column: looked up by its HMAC, shown to its owner
-- from the ciphertext.
create table stream_keys (
    user_id integer primary key not null references users (id) on delete cascade,
    key_hmac blob not null unique,
    key_encrypted blob not null,
    created_at integer not null
) strict;

-- A row for each refresh token that is out; `revoked_at` also says that it was used.
create table refresh_tokens (
    jti text primary key not null,
    user_id integer not null references users (id) on delete cascade,
    expires_at integer not null,
    revoked_at integer
) strict;
create index refresh_tokens_user on refresh_tokens (user_id);
create index refresh_tokens_expiry on refresh_tokens (expires_at);

create table posts (
    id integer primary key not null,
    author_id integer not null references users (id) on delete cascade,
    quartier_id integer not null references quartiers (id),
    title text not null,
    content text not null,
    post_type text not null,
    is_live_post integer not null,  -- the live has not ended
    is_pinned integer not null,
    is_anonymous integer not null,
    likes_count integer not null default 0 check (likes_count >= 0),
    comments_count integer not null default 0 check (comments_count >= 0),
    views_count integer not null default 0 check (views_count >= 0),
    shares_count integer not null default 0 check (shares_count >= 0),
    created_at integer not null,
    updated_at integer not null
) strict;
create index posts_author on posts (author_id, created_at);
create index posts_quartier on posts (quartier_id, created_at);
create index posts_type on posts (post_type, created_at);

create table lives (
    id integer primary key not null references posts (id) on delete cascade,
    owner_id integer not null references users (id) on delete cascade,
    playback_id text not null unique,   -- random; what viewers' URLs hold
    title text not null,
    description text not null,
    status text not null,               -- ready, live, interrupted, ended
    end_reason text,                    -- owner, forced, ingest_closed, timeout, admin
    created_at integer not null,
    started_at integer,                 -- first media
    ended_at integer,
    grace_until integer,                -- while interrupted: the encoder may come back until then
    last_media_at integer,
    owner_seen_at integer not null,
    peak_viewers integer not null default 0,
    node text,
    heartbeat_at integer,
    check ((status = 'ended') = (ended_at is not null)),
    check ((status = 'ended') = (end_reason is not null))
) strict;
create unique index lives_one_open_per_owner on lives (owner_id) where status <> 'ended';
create index lives_open on lives (id) where status <> 'ended';
create index lives_owner on lives (owner_id, id);

create table publish_sessions (
    id integer primary key not null,
    live_id integer not null references lives (id) on delete cascade,
    started_at integer not null,
    ended_at integer,
    protocol text not null,
    encoder text,
    end_reason text
) strict;
create index publish_sessions_live on publish_sessions (live_id, id);
create index publish_sessions_open on publish_sessions (id) where ended_at is null;

create table recordings (
    id integer primary key not null,
    live_id integer not null unique references lives (id) on delete cascade,
    state text not null,                -- recording, finishing, ready, failed
    created_at integer not null,
    ready_at integer,
    stored_at integer                   -- all bytes are in the object store, read back
) strict;
create index recordings_state on recordings (state, id);

-- One rendition file each; nearly every recording has one.
create table runs (
    id integer primary key not null,
    recording_id integer not null references recordings (id) on delete cascade,
    rendition text not null,
    number integer not null,
    path text not null,
    timeline_start integer not null,
    started_at integer not null,
    video_codec text,
    audio_codec text,
    width integer,
    height integer,
    codecs text not null,
    tracks blob not null,               -- codec configurations, opaque here
    head_bytes integer not null,        -- where the init section ends
    bytes integer not null default 0,
    duration integer not null default 0,
    state text not null,                -- growing, final
    tree_sha256 text,
    etag text,
    finished_at integer,
    unique (recording_id, rendition, number)
) strict;
create index runs_growing on runs (id) where state = 'growing';

create table segments (
    run_id integer not null references runs (id) on delete cascade,
    msn integer not null,
    byte_offset integer not null,
    bytes integer not null,
    duration integer not null,
    date_time integer,                  -- PROGRAM-DATE-TIME, where the playlist carries one
    gap integer not null,               -- EXT-X-GAP
    sample_index blob not null,         -- parts and samples, opaque here; last, so that lists can skip it
    primary key (run_id, msn)
) strict;

create table gaps (
    id integer primary key not null,
    recording_id integer not null references recordings (id) on delete cascade,
    at integer not null,                -- on the recording's timeline
    started_at integer not null,
    seconds real,                       -- null while open
    cause text not null                 -- encoder, disk
) strict;
create index gaps_recording on gaps (recording_id, at);
