-- Ids ascend even where the clock goes back, so an id's time is never before its submission, and seldom after it.
-- The exceptions bound how far a search by time of submission has to walk.
CREATE INDEX job_clock_went_back ON job(seq) WHERE submitted_at < (seq >> 16);
