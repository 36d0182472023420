-- A group that was handed what nobody else has is not forgotten while that waits.
ALTER TABLE bus_group ADD COLUMN kept boolean NOT NULL DEFAULT false;
