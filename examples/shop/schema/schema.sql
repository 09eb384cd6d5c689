CREATE TABLE stock (
    title text PRIMARY KEY,
    price integer NOT NULL CHECK (price > 0),
    copies integer NOT NULL CHECK (copies >= 0)
);

CREATE TABLE orders (
    id serial PRIMARY KEY,
    title text NOT NULL REFERENCES stock,
    quantity integer NOT NULL CHECK (quantity > 0),
    customer text NOT NULL,
    total integer NOT NULL
);

-- Tests run beside one another: each has a title of its own.
INSERT INTO stock VALUES ('Dune', 1200, 3), ('Emma', 900, 1000), ('Ulysses', 1500, 7);
