//! Columns that a contract named after their table had rows: where they are null, what came as an unknown
//! member stands in `_extra`.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::AsArray;
use arrow::compute::cast;
use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::DataFusionError;
use datafusion::error::Result as DfResult;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility, cast as cast_expr, ident, when,
};
use weir_contract::contract::Contract;
use weir_contract::decode::Promoted;
use weir_contract::names::{TableName, column};

use crate::Base;

/// A function of `_extra` for each column of `contract` that an earlier schema of the table lacks.
pub fn functions(contract: &Contract, table: &TableName, base: &Base) -> Vec<Arc<ScalarUDF>> {
    let metadata = base.metadata();
    let is_new = |name: &str| {
        let field = metadata.current_schema().field_by_name(name);
        let had = |id: i32| metadata.schemas_iter().all(|s| s.field_by_id(id).is_some());
        field.is_some_and(|field| !had(field.id))
    };
    let fields = contract.fields.iter().enumerate().filter(|(_, field)| is_new(&field.name));
    fields
        .filter_map(|(at, _)| InExtra::new(contract, at, table))
        .map(ScalarUDF::from)
        .map(Arc::new)
        .collect()
}

/// The column of that function where it is not null, else what the function finds.
pub fn or_extra(function: &Arc<ScalarUDF>, name: &str, kind: &DataType) -> DfResult<Expr> {
    let found = function.call(vec![ident(column::EXTRA)]);
    let found = cast_expr(found, kind.clone());
    Ok(when(ident(name).is_null(), found).otherwise(ident(name))?.alias(name))
}

/// The column that a function of [`functions`] is of.
pub fn column_of(function: &ScalarUDF) -> Option<&str> {
    let inner = function.inner().as_any().downcast_ref::<InExtra>()?;
    inner.contract.fields.get(inner.column).map(|field| field.name.as_str())
}

/// `_extra` → one column.
#[derive(Debug)]
struct InExtra {
    name: String,
    contract: Arc<Contract>,
    column: usize,
    returns: DataType,
    signature: Signature,
}

impl InExtra {
    fn new(contract: &Contract, column: usize, table: &TableName) -> Option<InExtra> {
        Promoted::new(contract, column)?;
        let field = contract.fields.get(column)?;
        Some(InExtra {
            name: format!("extra_{}_{}_{}", table.namespace, table.name, field.name),
            returns: Promoted::data_type(contract, column)?,
            contract: Arc::new(contract.clone()),
            column,
            signature: Signature::any(1, Volatility::Immutable),
        })
    }
}

impl PartialEq for InExtra {
    fn eq(&self, other: &InExtra) -> bool {
        self.name == other.name && self.contract == other.contract
    }
}

impl Eq for InExtra {}

impl Hash for InExtra {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for InExtra {
    fn as_any(&self) -> &dyn std::any::Any {
        self
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> DfResult<DataType> {
        Ok(self.returns.clone())
    }

    fn return_field_from_args(&self, _: ReturnFieldArgs) -> DfResult<FieldRef> {
        Ok(Arc::new(arrow::datatypes::Field::new(&self.name, self.returns.clone(), true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DfResult<ColumnarValue> {
        let lost = || DataFusionError::Internal(format!("{} has no column", self.name));
        let extra = args.args.first().ok_or_else(lost)?.to_array(args.number_rows)?;
        let extra = cast(&extra, &DataType::Utf8)?;
        let mut promoted = Promoted::new(&self.contract, self.column).ok_or_else(lost)?;
        extra.as_string::<i32>().iter().for_each(|text| promoted.push(text));
        Ok(ColumnarValue::Array(promoted.finish().ok_or_else(lost)?))
    }
}
