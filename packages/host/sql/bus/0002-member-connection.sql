-- The server's process for the connection on which a member listens: it goes with the member, however that dies.
ALTER TABLE bus_member ADD COLUMN backend int;
