-- Where a member is to be paid, by currency: one's own accounts, and those that others have told.
CREATE TABLE account (
  owner    text COLLATE "C" NOT NULL,
  currency text COLLATE "C" NOT NULL,
  iban     text NOT NULL,
  bank     jsonb,
  PRIMARY KEY (owner, currency)
);
CREATE INDEX account_by_currency ON account (currency, owner);

-- Payments that this member has instructed, and those that it was told of.
CREATE TABLE payment (
  debtor        text COLLATE "C" NOT NULL,
  reference     text COLLATE "C" NOT NULL,
  creditor      text NOT NULL,
  currency      text NOT NULL,
  -- In the currency's smallest unit.
  amount        bigint NOT NULL CHECK (amount > 0),
  iban          text NOT NULL,
  instructed_at bigint NOT NULL,
  PRIMARY KEY (debtor, reference)
);
CREATE INDEX payment_by_creditor ON payment (creditor, instructed_at);
