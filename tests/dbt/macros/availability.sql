{# A month's availability by a column of the days, of which it counts others: times are summed, in
   microseconds. #}
{% macro availability_monthly(by, counts) -%}
with months as (
    select
        strftime(service_date, '%Y-%m') as service_month,
        {{ by }},
        {%- for name, column in counts.items() %}
        count(distinct {{ column }}) as {{ name }},
        {%- endfor %}
        sum(round(service_s * 1e6)::hugeint) as service,
        sum(round(downtime_s * 1e6)::hugeint) as down,
        sum(outages) as outages,
        max(availability_target_pct) as availability_target_pct
    from {{ ref('availability_daily') }}
    group by all
)

select
    * exclude (service, down),
    (service::decimal(38, 0) * 0.000001)::decimal(18, 6) as service_s,
    (down::decimal(38, 0) * 0.000001)::decimal(18, 6) as downtime_s,
    if(service > 0, ratio4(100 * (service - down), service), null)::decimal(9, 4)
        as availability_pct
from months
{%- endmacro %}
