{{ config(
    materialized='incremental', incremental_strategy='microbatch',
    event_time='revenue_date', batch_size='day',
    unique_key=[
        'revenue_date', 'machine_key', 'machine_id', 'site_key', 'site_id', 'product_key',
        'product_id', 'payment_method', 'currency'
    ]
) }}

-- What was delivered and what it was worth, per day, machine, site, product, method and currency;
-- sums of it are the revenue by any of these, and by region. Days are UTC. Vends for tests and for
-- nothing are deliveries, but no revenue. Where a version of a machine, site or product begins
-- during the day, what came before and after it are two rows.
select
    cast(event_day as date) as revenue_date,
    date_key,
    machine_key,
    machine_id,
    site_key,
    site_id,
    region,
    product_key,
    product_id,
    payment_method,
    currency,
    count(*) as vends,
    sum(case when is_delivered then 1 else 0 end) as vends_delivered,
    sum(case when is_sold then 1 else 0 end) as vends_sold,
    cast(
        sum(case when is_sold then price else cast(0 as decimal(18, 4)) end) as decimal(18, 4)
    ) as revenue,
    cast(sum(case when is_sold then unit_cost end) as decimal(18, 4)) as cost,
    sum(case when is_late then 1 else 0 end) as vends_late,
    100.0 * sum(case when is_late then 0 else 1 end) / count(*) as in_time_pct
from {{ ref('fct_vends') }}
group by
    event_day, date_key, machine_key, machine_id, site_key, site_id, region, product_key,
    product_id, payment_method, currency
