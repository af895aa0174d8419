{{ events('vending_sales') }}
