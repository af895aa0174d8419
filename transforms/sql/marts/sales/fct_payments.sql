{{ config(
    materialized='incremental', incremental_strategy='microbatch',
    event_time='event_time', batch_size='hour'
) }}

-- One row per attempt to pay, with where the machine stood then.
select
    payment._source,
    payment._kafka_partition,
    payment._offset,
    payment.event_source,
    payment.event_id,
    payment.event_time,
    payment.event_day,
    cast(to_char(payment.event_day, '%Y%m%d') as int) as date_key,
    machine.machine_key,
    payment.machine_id,
    site.site_key,
    machine.site_id,
    site.region,
    payment.transaction_id,
    payment.selection,
    product.product_key,
    payment.product_id,
    payment.price,
    payment.currency,
    payment.payment_method,
    payment.payment_outcome,
    payment.payment_outcome = 'succeeded' as is_paid,
    payment.payment_fail_status,
    payment.paid_amount,
    payment.change_amount,
    -- What the machine keeps: a payment that does not say what was charged was charged the price.
    case
        when payment.payment_outcome = 'succeeded'
            then cast(
                coalesce(payment.paid_amount, payment.price)
                - coalesce(payment.change_amount, cast(0 as decimal(18, 4))) as decimal(18, 4)
            )
        else cast(0 as decimal(18, 4))
    end as net_amount,
    payment.payer_id,
    payment.is_late
from {{ ref('stg_vending_sales') }} as payment
left join {{ ref('dim_machine') }} as machine
    on machine.machine_id = payment.machine_id
    and machine.valid_from <= payment.event_time
    and (machine.valid_to is null or machine.valid_to > payment.event_time)
left join {{ ref('dim_site') }} as site
    on site.site_id = machine.site_id
    and site.valid_from <= payment.event_time
    and (site.valid_to is null or site.valid_to > payment.event_time)
left join {{ ref('dim_product') }} as product
    on product.product_id = payment.product_id
    and product.valid_from <= payment.event_time
    and (product.valid_to is null or product.valid_to > payment.event_time)
where payment.event_type = 'vending.sales.payment'
