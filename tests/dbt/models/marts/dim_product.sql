select
    interval_key(product_id, valid_from) as product_key,
    * exclude (gtin, age_min_years, _load),
    valid_to is null as is_current
from {{ history('products', ['product_id']) }}
