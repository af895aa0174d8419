select
    payment._source,
    payment._kafka_partition,
    payment._offset,
    payment.event_source,
    payment.event_id,
    payment.event_time,
    payment.event_day,
    day_key(payment.event_time) as date_key,
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
    upper(payment.currency) as currency,
    payment.payment_method,
    payment.payment_outcome,
    payment.payment_outcome = 'succeeded' as is_paid,
    payment.payment_fail_status,
    payment.paid_amount,
    payment.change_amount,
    if(
        payment.payment_outcome = 'succeeded',
        ifnull(payment.paid_amount, payment.price) - ifnull(payment.change_amount, 0),
        0
    )::decimal(18, 4) as net_amount,
    payment.payer_id,
    payment.is_late
from {{ ref('stg_vending_sales') }} as payment
{{ place('payment.machine_id', 'payment.event_time') }}
left join {{ ref('dim_product') }} as product
    on product.product_id = payment.product_id and {{ held('product', 'payment.event_time') }}
where payment.event_type = 'vending.sales.payment'
