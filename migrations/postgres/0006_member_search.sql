-- Members are found by a part of their names.
--
-- Same version, tables and columns as ../sqlite/0006.

-- User name, first and last name without accents, case and punctuation, made by the program.
alter table users add column search text not null default '';
update users set search = lower(replace(replace(username, '_', ' '), '.', ' ') || ' ' || first_name || ' ' || last_name);

-- Who fetches a profile picture names its path.
create index users_profile_picture on users (profile_picture) where profile_picture is not null;
