//! The fuzz target of scripts: whatever the bytes are, they are carried out, listed or refused.

use std::io::Cursor;

use super::interpret::Interpreter;

#[test]
fn fuzz_script() {
    bolero::check!(name = "script").for_each(|bytes| {
        // Repetition is no way to find anything.
        if bytes.len() > 8 * 1024 || String::from_utf8_lossy(bytes).to_lowercase().contains("go ") {
            return;
        }
        let mut interpreter = Interpreter::new();
        let outcome = interpreter.script("fuzz.sql", 0, Cursor::new(bytes), &mut |_, _, _| Ok(()));
        let catalog = interpreter.world.database().catalog();
        if outcome.is_ok() {
            // What is told is what is there.
            let again = imis_schemas::Catalog::parse(&catalog.to_json()).unwrap();
            assert_eq!(again, catalog);
        }
        for table in &catalog.tables {
            let name =
                imis_schemas::script::ObjectName { schema: Some(table.schema.clone()), name: table.name.clone() };
            let at = interpreter.world.find(&name).unwrap();
            let width = table.columns.len();
            interpreter
                .world
                .each_row(at, |names, cells| {
                    assert_eq!((names.len(), cells.len()), (width, width));
                    Ok(true)
                })
                .unwrap();
        }
    });
}
