//! The keys of Open Data Contract Standard 3.2.0: which Weir reads, which it accepts and ignores,
//! and which it refuses because ignoring them would promise a check that nobody makes.

use crate::yaml::Keys;

const QUALITY: (&str, &str) = (
    "quality",
    "rules stand in the schema, beside `properties`; state what one column may hold with `required`, \
     `enum` and `logicalTypeOptions`",
);

/// The contract itself.
pub(super) const CONTRACT: Keys = Keys {
    used: &[
        "apiVersion",
        "kind",
        "id",
        "name",
        "version",
        "status",
        "description",
        "schema",
        "customProperties",
        "slaProperties",
    ],
    ignored: &[
        "authoritativeDefinitions",
        "context",
        "contractCreatedTs",
        "dataProduct",
        "domain",
        "price",
        "roles",
        "servers",
        "slaDefaultElement",
        "support",
        "tags",
        "team",
        "tenant",
    ],
    // Not a key of the standard here, but where people look for it first.
    refused: &[QUALITY],
};

/// The contract's `description`.
pub(super) const DESCRIPTION: Keys = Keys {
    used: &["purpose"],
    ignored: &["authoritativeDefinitions", "customProperties", "limitations", "usage"],
    refused: &[],
};

/// The one entry of `schema`.
pub(super) const SCHEMA: Keys = Keys {
    used: &[
        "name",
        "physicalName",
        "logicalType",
        "properties",
        "quality",
        "description",
        "customProperties",
    ],
    ignored: &[
        "authoritativeDefinitions",
        "businessName",
        "context",
        "dataGranularityDescription",
        "deprecated",
        "id",
        "physicalType",
        "relationships",
        "synonyms",
        "tags",
    ],
    refused: &[],
};

/// An entry of `properties`: a column.
pub(super) const COLUMN: Keys = Keys {
    used: &[
        "name",
        "logicalType",
        "physicalType",
        "required",
        "enum",
        "logicalTypeOptions",
        "description",
        "customProperties",
        "physicalName",
        "unique",
        "items",
        "properties",
        "tags",
        "primaryKey",
        "primaryKeyPosition",
    ],
    ignored: &[
        "authoritativeDefinitions",
        "businessName",
        "classification",
        "criticalDataElement",
        "deprecated",
        "encryptedName",
        "examples",
        "id",
        "partitionKeyPosition",
        "partitioned",
        "relationships",
        "semanticType",
        "synonyms",
        "transformDescription",
        "transformLogic",
        "transformSourceObjects",
    ],
    refused: &[
        QUALITY,
        ("map", "maps are not supported; use `logicalType: object`, which is kept verbatim"),
    ],
};

/// An entry of `enum`.
pub(super) const ENUM_ENTRY: Keys = Keys {
    used: &["value"],
    ignored: &[
        "authoritativeDefinitions",
        "customProperties",
        "description",
        "id",
        "label",
        "tags",
    ],
    refused: &[],
};

/// An entry of `customProperties`.
pub(super) const CUSTOM_PROPERTY: Keys =
    Keys { used: &["property", "value"], ignored: &["description", "id", "vendor"], refused: &[] };

const NO_MUST: &str =
    "a rule says in `implementation` what must hold, and a row that fails is rejected";
const NO_SCHEDULE: &str = "a rule is checked at every record; remove it";

/// An entry of the schema's `quality`: a rule.
pub(super) const RULE: Keys = Keys {
    used: &["name", "type", "engine", "implementation", "description"],
    ignored: &[
        "authoritativeDefinitions",
        "businessImpact",
        "customProperties",
        "dimension",
        "id",
        "tags",
    ],
    refused: &[
        ("arguments", NO_MUST),
        ("metric", NO_MUST),
        ("mustBe", NO_MUST),
        ("mustBeBetween", NO_MUST),
        ("mustBeGreaterOrEqualTo", NO_MUST),
        ("mustBeGreaterThan", NO_MUST),
        ("mustBeLessOrEqualTo", NO_MUST),
        ("mustBeLessThan", NO_MUST),
        ("mustNotBe", NO_MUST),
        ("mustNotBeBetween", NO_MUST),
        ("query", NO_MUST),
        ("rule", NO_MUST),
        ("severity", NO_MUST),
        ("unit", NO_MUST),
        ("method", NO_SCHEDULE),
        ("schedule", NO_SCHEDULE),
        ("scheduler", NO_SCHEDULE),
    ],
};

const NO_CHECK: &str = "Weir does not check it; remove it";
const NO_BOUND: &str = "only inclusive bounds are supported; use `minimum` and `maximum`";
const NO_TIME_BOUND: &str = "bounds of times are not supported; `weir.eventTimeMin` and \
     `weir.skewMax` bound the event time";
const NO_FORMAT: &str = "times are RFC 3339 with a zone, dates `YYYY-MM-DD`; remove it";

/// `logicalTypeOptions` of a string.
pub(super) const OPTIONS_STRING: Keys = Keys {
    used: &["minLength", "maxLength"],
    ignored: &[],
    refused: &[("pattern", NO_CHECK), ("format", NO_CHECK)],
};

/// `logicalTypeOptions` of an integer or number.
pub(super) const OPTIONS_NUMBER: Keys = Keys {
    used: &["minimum", "maximum"],
    ignored: &[],
    refused: &[
        ("exclusiveMinimum", NO_BOUND),
        ("exclusiveMaximum", NO_BOUND),
        ("multipleOf", NO_CHECK),
        ("format", "the width stands in `physicalType`: int, long, double or decimal(p,s)"),
    ],
};

/// `logicalTypeOptions` of a timestamp.
pub(super) const OPTIONS_TIMESTAMP: Keys = Keys {
    used: &[],
    ignored: &[],
    refused: &[
        ("format", NO_FORMAT),
        ("timezone", NO_FORMAT),
        ("defaultTimezone", NO_FORMAT),
        ("minimum", NO_TIME_BOUND),
        ("maximum", NO_TIME_BOUND),
        ("exclusiveMinimum", NO_TIME_BOUND),
        ("exclusiveMaximum", NO_TIME_BOUND),
    ],
};

/// `logicalTypeOptions` of a date.
pub(super) const OPTIONS_DATE: Keys = Keys {
    used: &[],
    ignored: &[],
    refused: &[
        ("format", NO_FORMAT),
        ("minimum", NO_CHECK),
        ("maximum", NO_CHECK),
        ("exclusiveMinimum", NO_CHECK),
        ("exclusiveMaximum", NO_CHECK),
    ],
};

/// `logicalTypeOptions` of an object or array.
pub(super) const OPTIONS_JSON: Keys = Keys {
    used: &[],
    ignored: &[],
    refused: &[
        ("minProperties", NO_CHECK),
        ("maxProperties", NO_CHECK),
        ("required", NO_CHECK),
        ("minItems", NO_CHECK),
        ("maxItems", NO_CHECK),
        ("uniqueItems", NO_CHECK),
    ],
};

/// `logicalTypeOptions` of a boolean, which has none.
pub(super) const OPTIONS_NONE: Keys = Keys { used: &[], ignored: &[], refused: &[] };

/// Custom properties of Weir at the contract.
pub(super) const WEIR_CONTRACT: &[&str] = &[
    "weir.valueBytesMax",
    "weir.extraBytesMax",
    "weir.depthMax",
    "weir.eventTimeMin",
    "weir.skewMax",
    "weir.keepValue",
    "weir.keyPolicy",
    "weir.topicPartitions",
    "weir.topicReplication",
    "weir.topicRetention",
    "weir.topicCleanup",
    "weir.rejectRetention",
    "weir.sortedBy",
    "weir.partitionedBy",
    "weir.reference",
];

/// Custom properties of Weir at a column.
pub(super) const WEIR_COLUMN: &[&str] = &["weir.path", "weir.requiredFor", "weir.policy"];
