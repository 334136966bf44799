//! Fuzz targets: catalogues, the names of types, and the statements of scripts.

use std::io::Cursor;

use crate::script::{Part, Pieces, parse};
use crate::{Catalog, DataType, Engine, identify};

#[test]
fn fuzz_catalog() {
    bolero::check!(name = "catalog").for_each(|bytes| {
        let Ok(text) = std::str::from_utf8(bytes) else { return };
        let Ok(catalog) = Catalog::parse(text) else { return };
        for table in &catalog.tables {
            for column in &table.columns {
                let _ = (column.data_type(catalog.engine).arrow(), column.plain_default());
            }
            let _ = table.table_name().sql(catalog.engine);
        }
        // What is written is read as what it was.
        let again = Catalog::parse(&catalog.to_json()).unwrap();
        assert_eq!(again, catalog);
        let _ = identify(&catalog);
    });
}

#[test]
fn fuzz_data_type() {
    bolero::check!(name = "data_type").for_each(|bytes| {
        let Ok(text) = std::str::from_utf8(bytes) else { return };
        for engine in [Engine::Mssql, Engine::Postgres] {
            let data_type = DataType::parse(engine, text);
            let _ = (data_type.arrow(), data_type.sql(engine));
            // No name and no text ends its own quotes: between them, a closing one comes only doubled.
            let close = if engine == Engine::Mssql { ']' } else { '"' };
            for (quoted, close) in [(engine.quote(text), close), (engine.literal(text), '\'')] {
                let begins = if close == '\'' { quoted.find('\'').unwrap() } else { 0 };
                let inner = &quoted[begins + 1..quoted.len() - 1];
                assert!(!inner.replace(&[close; 2].iter().collect::<String>(), "").contains(close), "{quoted}");
            }
        }
    });
}

#[test]
fn fuzz_script() {
    bolero::check!(name = "script").for_each(|bytes| {
        let Ok(mut pieces) = Pieces::new(Cursor::new(bytes)) else { return };
        while let Ok(Some(part)) = pieces.read() {
            let Part::Piece(piece) = part else { continue };
            // Statements come in their order, and none from nowhere.
            let places: Vec<_> = parse(&piece).iter().map(|statement| statement.place).collect();
            assert!(places.is_sorted(), "{places:?}");
            assert!(places.first().is_none_or(|first| *first >= piece.place));
        }
    });
}
