CREATE TABLE IF NOT EXISTS products (
    id           INTEGER PRIMARY KEY,
    name         TEXT NOT NULL,
    version      TEXT NOT NULL,
    description  TEXT,
    keywords     TEXT NOT NULL,
    categories   TEXT NOT NULL,
    licence      TEXT,
    dependencies TEXT NOT NULL,
    repository   TEXT,
    UNIQUE (name, version)
);
CREATE VIRTUAL TABLE IF NOT EXISTS products_fts USING fts5 (
    name, keywords, categories, description, content = 'products', content_rowid = 'id'
);
CREATE TRIGGER IF NOT EXISTS products_inserted AFTER INSERT ON products BEGIN
    INSERT INTO products_fts (rowid, name, keywords, categories, description)
    VALUES (new.id, new.name, new.keywords, new.categories, new.description);
END;
CREATE TRIGGER IF NOT EXISTS products_deleted AFTER DELETE ON products BEGIN
    INSERT INTO products_fts (products_fts, rowid, name, keywords, categories, description)
    VALUES ('delete', old.id, old.name, old.keywords, old.categories, old.description);
END;
CREATE TRIGGER IF NOT EXISTS products_updated AFTER UPDATE ON products BEGIN
    INSERT INTO products_fts (products_fts, rowid, name, keywords, categories, description)
    VALUES ('delete', old.id, old.name, old.keywords, old.categories, old.description);
    INSERT INTO products_fts (rowid, name, keywords, categories, description)
    VALUES (new.id, new.name, new.keywords, new.categories, new.description);
END;

CREATE TABLE IF NOT EXISTS pages (
    id      INTEGER PRIMARY KEY,
    product INTEGER NOT NULL REFERENCES products (id),
    path    TEXT NOT NULL,
    title   TEXT NOT NULL,
    text    TEXT NOT NULL,
    UNIQUE (product, path)
);
CREATE VIRTUAL TABLE IF NOT EXISTS pages_fts USING fts5 (
    title, text, content = 'pages', content_rowid = 'id'
);
CREATE TRIGGER IF NOT EXISTS pages_inserted AFTER INSERT ON pages BEGIN
    INSERT INTO pages_fts (rowid, title, text) VALUES (new.id, new.title, new.text);
END;
CREATE TRIGGER IF NOT EXISTS pages_deleted AFTER DELETE ON pages BEGIN
    INSERT INTO pages_fts (pages_fts, rowid, title, text)
    VALUES ('delete', old.id, old.title, old.text);
END;
CREATE TRIGGER IF NOT EXISTS pages_updated AFTER UPDATE ON pages BEGIN
    INSERT INTO pages_fts (pages_fts, rowid, title, text)
    VALUES ('delete', old.id, old.title, old.text);
    INSERT INTO pages_fts (rowid, title, text) VALUES (new.id, new.title, new.text);
END;

CREATE TABLE IF NOT EXISTS orders (
    id        INTEGER PRIMARY KEY,
    product   INTEGER NOT NULL REFERENCES products (id),
    quantity  INTEGER NOT NULL CHECK (quantity BETWEEN 1 AND 1000),
    note      TEXT,
    placed_at INTEGER NOT NULL
);
