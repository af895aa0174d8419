select
    interval_key(site_id, valid_from) as site_key,
    * exclude (street, postal_code, _load),
    valid_to is null as is_current
from {{ history('sites', ['site_id']) }}
