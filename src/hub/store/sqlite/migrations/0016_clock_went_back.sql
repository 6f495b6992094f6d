-- Ids ascend even where the clock goes back, so an id's time is never before its submission, and seldom after it. The
-- last job of which it is after bounds how far a search by time of submission has to walk.
ALTER TABLE meta ADD COLUMN last_backdated INTEGER NOT NULL DEFAULT 0;
UPDATE meta SET last_backdated = (SELECT coalesce(max(seq), 0) FROM job WHERE submitted_at < (seq >> 16));
