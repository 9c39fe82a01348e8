-- First light: members, places, lives and what they leave behind.
--
-- Same version, tables and columns as ../sqlite/0001. Ids are made by the program (at most 53 bits),
-- moments are microseconds of UTC since 1970, durations on a timeline are 90 kHz ticks.
-- Applied files are never edited: add a new one.

create table regions (
    id bigint primary key not null,
    nom text not null unique,
    code text,
    folded text not null            -- nom without accents and case, made by the program
);

create table prefectures (
    id bigint primary key not null,
    region_id bigint not null references regions (id),
    nom text not null,
    code text,
    folded text not null,
    unique (region_id, nom)
);

create table communes (
    id bigint primary key not null,
    prefecture_id bigint not null references prefectures (id),
    nom text not null,
    kind text not null,             -- `type` in the API
    code text,                      -- not unique: MAT twice
    folded text not null,
    unique (prefecture_id, nom)
);

create table quartiers (
    id bigint primary key not null,
    commune_id bigint not null references communes (id),
    nom text not null,
    code text,
    folded text not null,
    population_estimee bigint,
    superficie_km2 double precision,
    unique (commune_id, nom)
);
create index quartiers_folded on quartiers (folded);

create table users (
    id bigint primary key not null,
    username text not null unique,
    email text not null unique,     -- lower case
    password_hash text not null,    -- argon2id, PHC form
    first_name text not null,
    last_name text not null,
    phone_number text not null,
    date_of_birth text,             -- YYYY-MM-DD
    bio text not null,
    profile_picture text,
    quartier_id bigint references quartiers (id),
    role text not null,
    is_verified boolean not null,
    is_geographically_verified boolean not null,
    is_active boolean not null,
    date_joined bigint not null,
    last_login bigint,
    updated_at bigint not null
);

-- One key for each member. The key itself is in no column: looked up by its HMAC, shown to its owner
-- from the ciphertext.
create table stream_keys (
    user_id bigint primary key not null references users (id) on delete cascade,
    key_hmac bytea not null unique,
    key_encrypted bytea not null,
    created_at bigint not null
);

-- A row for each refresh token that is out; `revoked_at` also says that it was used.
create table refresh_tokens (
    jti text primary key not null,
    user_id bigint not null references users (id) on delete cascade,
    expires_at bigint not null,
    revoked_at bigint
);
create index refresh_tokens_user on refresh_tokens (user_id);
create index refresh_tokens_expiry on refresh_tokens (expires_at);

create table posts (
    id bigint primary key not null,
    author_id bigint not null references users (id) on delete cascade,
    quartier_id bigint not null references quartiers (id),
    title text not null,
    content text not null,
    post_type text not null,
    is_live_post boolean not null,  -- the live has not ended
    is_pinned boolean not null,
    is_anonymous boolean not null,
    likes_count bigint not null default 0 check (likes_count >= 0),
    comments_count bigint not null default 0 check (comments_count >= 0),
    views_count bigint not null default 0 check (views_count >= 0),
    shares_count bigint not null default 0 check (shares_count >= 0),
    created_at bigint not null,
    updated_at bigint not null
);
create index posts_author on posts (author_id, created_at);
create index posts_quartier on posts (quartier_id, created_at);
create index posts_type on posts (post_type, created_at);

create table lives (
    id bigint primary key not null references posts (id) on delete cascade,
    owner_id bigint not null references users (id) on delete cascade,
    playback_id text not null unique,   -- random; what viewers' URLs hold
    title text not null,
    description text not null,
    status text not null,               -- ready, live, interrupted, ended
    end_reason text,                    -- owner, forced, ingest_closed, timeout, admin
    created_at bigint not null,
    started_at bigint,                 -- first media
    ended_at bigint,
    grace_until bigint,                -- while interrupted: the encoder may come back until then
    last_media_at bigint,
    owner_seen_at bigint not null,
    peak_viewers bigint not null default 0,
    node text,
    heartbeat_at bigint,
    check ((status = 'ended') = (ended_at is not null)),
    check ((status = 'ended') = (end_reason is not null))
);
create unique index lives_one_open_per_owner on lives (owner_id) where status <> 'ended';
create index lives_open on lives (id) where status <> 'ended';
create index lives_owner on lives (owner_id, id);

create table publish_sessions (
    id bigint primary key not null,
    live_id bigint not null references lives (id) on delete cascade,
    started_at bigint not null,
    ended_at bigint,
    protocol text not null,
    encoder text,
    end_reason text
);
create index publish_sessions_live on publish_sessions (live_id, id);
create index publish_sessions_open on publish_sessions (id) where ended_at is null;

create table recordings (
    id bigint primary key not null,
    live_id bigint not null unique references lives (id) on delete cascade,
    state text not null,                -- recording, finishing, ready, failed
    created_at bigint not null,
    ready_at bigint,
    stored_at bigint                   -- all bytes are in the object store, read back
);
create index recordings_state on recordings (state, id);

-- One rendition file each; nearly every recording has one.
create table runs (
    id bigint primary key not null,
    recording_id bigint not null references recordings (id) on delete cascade,
    rendition text not null,
    number bigint not null,
    path text not null,
    timeline_start bigint not null,
    started_at bigint not null,
    video_codec text,
    audio_codec text,
    width bigint,
    height bigint,
    codecs text not null,
    tracks bytea not null,               -- codec configurations, opaque here
    head_bytes bigint not null,        -- where the init section ends
    bytes bigint not null default 0,
    duration bigint not null default 0,
    state text not null,                -- growing, final
    tree_sha256 text,
    etag text,
    finished_at bigint,
    unique (recording_id, rendition, number)
);
create index runs_growing on runs (id) where state = 'growing';

create table segments (
    run_id bigint not null references runs (id) on delete cascade,
    msn bigint not null,
    byte_offset bigint not null,
    bytes bigint not null,
    duration bigint not null,
    date_time bigint,                  -- PROGRAM-DATE-TIME, where the playlist carries one
    gap boolean not null,               -- EXT-X-GAP
    sample_index bytea not null,         -- parts and samples, opaque here; last, so that lists can skip it
    primary key (run_id, msn)
);

create table gaps (
    id bigint primary key not null,
    recording_id bigint not null references recordings (id) on delete cascade,
    at bigint not null,                -- on the recording's timeline
    started_at bigint not null,
    seconds double precision,                       -- null while open
    cause text not null                 -- encoder, disk
);
create index gaps_recording on gaps (recording_id, at);
