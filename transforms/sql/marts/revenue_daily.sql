{{ config(materialized='table', unique_key=['revenue_date', 'machine_id', 'product_id', 'currency']) }}

-- What was delivered and what it was worth, per day, machine and product. Days are UTC.
select
    cast(event_day as date) as revenue_date,
    machine_id,
    product_id,
    currency,
    max(site_id) as site_id,
    max(region) as region,
    count(*) as vends,
    sum(case when is_delivered then 1 else 0 end) as vends_delivered,
    cast(sum(case when is_delivered then price end) as decimal(18, 4)) as revenue,
    sum(case when is_late then 1 else 0 end) as vends_late
from {{ ref('fct_vends') }}
group by cast(event_day as date), machine_id, product_id, currency
