-- Version 11: a batch is found by its name.
CREATE INDEX batch_name ON batch(name);
