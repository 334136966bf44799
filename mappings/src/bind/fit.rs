//! Whether an expression's values fit their column, and which hazards that brings.

use imis_schemas::{Column, DataType, Engine, Table};

use super::Binder;
use crate::fit::{Allowed, Fit, Unfit};
use crate::hazard::Hazard;
use crate::language::{ColumnRule, MappingError, Misfit, Rule};
use imis_databases::query::expression::Expression;

impl Binder<'_> {
    pub(super) fn fit(
        &mut self,
        rule: &Rule,
        place: &crate::language::Place,
        column: &Column,
        expression: &Expression,
        source: Option<&Column>,
        said: &ColumnRule,
    ) -> Option<Fit> {
        let target = column.typed(Engine::Postgres);
        let source_type = source.map(|c| c.data_type(self.source.engine));
        let mut allowed = Allowed { too_long: said.too_long, out_of_range: said.out_of_range, ..Allowed::default() };
        for loss in &said.loses {
            match loss.value.as_str() {
                "time-of-day" => allowed.time_of_day = true,
                other => self.errors.push(
                    MappingError::at(&loss.place.within(other), format!("`{other}` is no loss that imis knows"))
                        .with_label("not known")
                        .suggest(other, ["time-of-day"]),
                ),
            }
        }
        match Fit::new(expression.data_type(), source_type.as_ref(), &target, allowed) {
            Ok(fit) => {
                self.fit_hazards(rule, column, expression, source, source_type.as_ref(), said);
                Some(fit)
            }
            Err(Unfit::Types(what)) => {
                self.errors.push(
                    MappingError::at(place, format!("{}.{}: {what}", rule.to.value, column.name))
                        .with_label(format!(
                            "gives {}",
                            imis_databases::query::expression::plainly(expression.data_type())
                        ))
                        .with_help("Write an expression that gives the column's type."),
                );
                None
            }
            Err(Unfit::Undecided(what, write)) => {
                self.errors.push(
                    MappingError::at(place, format!("{}.{}: {what}", rule.to.value, column.name))
                        .with_label("not decided")
                        .with_help(format!(
                            "Decide what becomes of values that do not fit: `{}: {{ {write} }}`.",
                            column.name
                        )),
                );
                None
            }
        }
    }

    fn fit_hazards(
        &mut self,
        rule: &Rule,
        column: &Column,
        expression: &Expression,
        source: Option<&Column>,
        source_type: Option<&DataType>,
        said: &ColumnRule,
    ) {
        use arrow::datatypes::DataType as A;
        let name = &rule.name.value;
        let target = column.data_type(Engine::Postgres);
        let mut add = |kind: &str, what: String| {
            self.hazards.push(Hazard::new(kind, name, Some(&column.name), what));
        };
        if matches!(expression.data_type(), A::Timestamp(..)) && target == DataType::Date {
            add("time-of-day", "the target is a date; a time of day is lost and counted".into());
        }
        if let (Some(from), Some(to)) = (source_type.filter(|t| t.is_text()), target.length())
            && from.length().is_none_or(|from| from > to)
        {
            let fate = if said.too_long == Some(Misfit::Cut) { "is cut and counted" } else { "rejects its row" };
            add("too-long", format!("a text of more than {to} characters {fate}"));
        }
        if let (Some(DataType::Int | DataType::BigInt), DataType::SmallInt) | (Some(DataType::BigInt), DataType::Int) =
            (source_type, &target)
        {
            let fate = match said.out_of_range {
                Some(Misfit::Clamp) => "becomes the nearest one that fits, counted",
                _ => "rejects its row",
            };
            add("out-of-range", format!("a number beyond {} {fate}", target.sql(Engine::Postgres)));
        }
        if !column.nullable && source.is_some_and(|c| c.nullable) {
            add("null-in-not-null", "NULL in the source rejects its row".into());
        }
    }

    pub(super) fn source_hazard(&mut self, rule: &Rule, source: &Table, name: &str) {
        let Some(column) = source.column(name) else { return };
        match column.data_type(self.source.engine) {
            t if t.is_carried_as_text() => self.hazards.push(Hazard::new(
                "carried-as-text",
                &rule.name.value,
                Some(name),
                format!("{} travels as the text that the server makes of it", t.sql(self.source.engine)),
            )),
            DataType::Time(7) | DataType::Timestamp(7) | DataType::DateTimeOffset(7) => {
                self.hazards.push(Hazard::new(
                    "digits-below-microsecond",
                    &rule.name.value,
                    Some(name),
                    "the seventh digit of a second is lost",
                ));
            }
            _ => {}
        }
    }
}
