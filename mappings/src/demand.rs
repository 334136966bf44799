//! What a mapping and its target demand of the rows of the source: for checks that are made before a night, and not in it.

use imis_schemas::{DataType, Engine, Table, same_name};

use crate::bind::{BoundMapping, BoundRule, RowWay, Way};

/// One thing that a table of the source must keep to, or that is lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Demand {
    /// The table of the source.
    pub table: String,
    /// Its column.
    pub column: String,
    /// What is demanded.
    pub what: Demanded,
    /// The target's column, for people: `tblPhotos.CHFID`.
    pub target: String,
}

/// What is demanded of a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Demanded {
    /// A value: the target takes no NULL.
    Value,
    /// No more than so many characters.
    Length(u32),
    /// Nothing beyond its default: the target has no place for it.
    Nothing {
        /// The default, where it is a plain literal.
        default: Option<String>,
    },
    /// A row that it names, in this table and column of the source.
    Row {
        /// The table.
        table: String,
        /// The column.
        column: String,
    },
    /// That no other row has it.
    Once,
}

impl BoundMapping {
    /// What is demanded of columns that go over as they are, and what has no place. What the mapping itself changes on the way is no
    /// demand: values that stand in for NULL, expressions.
    pub fn demands(&self, engine: Engine) -> Vec<Demand> {
        let mut all = Vec::new();
        for rule in &self.rules {
            let (Some(source), Way::Rows(way)) = (&rule.source, &rule.way) else { continue };
            for (from, target) in plain(source, way) {
                let demand = |what| Demand {
                    table: source.name.clone(),
                    column: from.name.clone(),
                    what,
                    target: format!("{}.{}", rule.target.name, target.name),
                };
                let stands_in = way.stand_ins.iter().any(|(_, column, _)| same_name(column, &target.name));
                if !target.nullable && from.nullable && !stands_in {
                    all.push(demand(Demanded::Value));
                }
                if let Some(length) = narrower(&from.data_type(engine), &target.data_type) {
                    all.push(demand(Demanded::Length(length)));
                }
                let unique = rule
                    .uniques
                    .iter()
                    .any(|unique| unique.filter.is_none() && unique.columns == [target.name.clone()]);
                if unique && !source.key_columns().iter().any(|key| same_name(key, &from.name)) {
                    all.push(demand(Demanded::Once));
                }
                let keys = rule.keys.iter().filter(|key| !key.is_kept() && same_name(&key.column, &target.name));
                for key in keys {
                    if let Some((table, column)) = self.comes_from(&key.table, &key.referenced) {
                        all.push(demand(Demanded::Row { table, column }));
                    }
                }
            }
            all.extend(way.dropped.iter().map(|dropped| Demand {
                table: source.name.clone(),
                column: dropped.column.clone(),
                what: Demanded::Nothing { default: dropped.default.clone() },
                target: rule.target.name.clone(),
            }));
        }
        all
    }

    /// The column of the source that fills a column of the target as it is, where one rule alone does.
    fn comes_from(&self, target: &Table, column: &str) -> Option<(String, String)> {
        let fills = |rule: &&BoundRule| rule.target.table_name() == target.table_name();
        let mut rules = self.rules.iter().filter(fills);
        let (rule, None) = (rules.next()?, rules.next()) else { return None };
        let (Some(source), Way::Rows(way)) = (&rule.source, &rule.way) else { return None };
        let (from, _) = plain(source, way).find(|(_, to)| same_name(&to.name, column))?;
        Some((source.name.clone(), from.name.clone()))
    }
}

/// The columns of a rule that go over as they are: from, to.
fn plain<'a>(
    source: &'a Table,
    way: &'a RowWay,
) -> impl Iterator<Item = (&'a imis_schemas::Column, &'a imis_schemas::TypedColumn)> {
    way.columns.iter().filter_map(|(expression, fit)| Some((source.column(expression.plain_column()?)?, fit.target())))
}

/// How many characters a target takes, where the source can hold more.
fn narrower(from: &DataType, to: &DataType) -> Option<u32> {
    let most = to.length().filter(|_| from.is_text() && to.is_text())?;
    from.length().is_none_or(|from| from > most).then_some(most)
}
