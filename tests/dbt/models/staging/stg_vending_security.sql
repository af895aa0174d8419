{{ events('vending_security') }}
