//! For tests: a server that says what it was told to say, and remembers what it was asked.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use imis_databases::{Answer, ChunkStream, Consistency, Error, ReadRequest, Source};
use imis_schemas::{Catalog, Table};

use super::End;

type Says = dyn Fn(&str) -> Result<Answer, Error> + Send + Sync;

pub(crate) struct Told {
    pub(crate) rows: u64,
    pub(crate) at_most: Option<u64>,
    pub(crate) says: Box<Says>,
    pub(crate) asked: Mutex<Vec<String>>,
}

impl Told {
    pub(crate) fn new(says: impl Fn(&str) -> Result<Answer, Error> + Send + Sync + 'static) -> Self {
        Told { rows: 0, at_most: None, says: Box::new(says), asked: Mutex::default() }
    }

    /// An end with the modular schema.
    pub(crate) fn end(self: &Arc<Self>) -> End {
        let catalog = Arc::new(imis_schemas::release("modular/1.11").unwrap());
        End { source: Arc::clone(self) as Arc<dyn Source>, catalog, name: "told".to_owned() }
    }

    fn note(&self, question: &str) {
        self.asked.lock().unwrap().push(question.to_owned());
    }
}

#[async_trait]
impl Source for Told {
    async fn catalog(&self) -> Result<Arc<Catalog>, Error> {
        Ok(Arc::new(imis_schemas::release("modular/1.11").unwrap()))
    }

    async fn count(&self, table: &Table) -> Result<u64, Error> {
        self.note(&format!("count {}", table.name));
        Ok(self.rows)
    }

    async fn rows_at_most(&self, table: &Table) -> Result<Option<u64>, Error> {
        self.note(&format!("at most {}", table.name));
        Ok(self.at_most)
    }

    async fn bounds(&self, _table: &Table, _column: &str) -> Result<Option<(i64, i64)>, Error> {
        Ok(None)
    }

    fn read(&self, _request: ReadRequest) -> ChunkStream {
        Box::pin(futures::stream::empty())
    }

    async fn consistency(&self) -> Result<Consistency, Error> {
        Ok(Consistency::Frozen)
    }

    async fn answer(&self, _doing: &str, sql: &str) -> Result<Option<Answer>, Error> {
        self.note(sql);
        (self.says)(sql).map(Some)
    }

    fn describe(&self) -> String {
        "a server of a test".to_owned()
    }
}
