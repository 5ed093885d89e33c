-- Sources and scripts have secrets too: a destination's owner is its id, the others' are source:<id>, transformation:<id>
-- and destination:<id> (that destination's script).
ALTER TABLE secrets RENAME COLUMN destination TO owner;
