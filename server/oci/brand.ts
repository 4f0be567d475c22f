declare const brand: unique symbol

/** A string that was checked once, where it came in; the compiler then keeps it apart from other strings. */
export type Branded<Name extends string> = string & { readonly [brand]: Name }
