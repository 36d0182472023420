-- What makes the tables of a CPK's entities, as it was signed and checked at the upload.
CREATE TABLE cpk_migration (
  file_checksum varchar(255) NOT NULL REFERENCES cpk_metadata,
  file_name     varchar(255) NOT NULL,
  content       text         NOT NULL,
  PRIMARY KEY (file_checksum, file_name)
);
