ALTER TABLE payment ADD COLUMN note text;
