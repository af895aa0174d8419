{{ config(dedup=['event_source', 'event_id']) }}

-- Lines of receipts of stores: sales, voids and refunds, one row per event.
-- Codes of currencies in capitals, whatever was sent.
select
    _source,
    _kafka_partition,
    _offset,
    _kafka_time,
    event_source,
    event_id,
    event_type,
    event_time,
    date_trunc('day', event_time) as event_day,
    _kafka_time - event_time > interval '{{ var("lateness_minutes", 5) }} minutes' as is_late,
    till_id,
    store_id,
    receipt_id,
    line_number,
    original_receipt_id,
    loyalty_id,
    cashier_id,
    product_id,
    quantity,
    unit,
    unit_price,
    discount_amount,
    amount,
    tax_amount,
    upper(currency) as currency,
    payment_method,
    refund_reason,
    site_id,
    trace_id,
    case when event_type = 'store.sales.sale' then quantity else -quantity end as signed_quantity,
    case when event_type = 'store.sales.sale' then amount else -amount end as signed_amount
from {{ source('raw', 'store_sales') }}
