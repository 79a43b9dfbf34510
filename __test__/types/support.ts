// Assertions that exist for the compiler only; nothing here runs.

/** Compiles only when both types are identical. */
export declare function same<A, B>(..._: Identical<A, B> extends true ? [] : [never]): void;

/** Compiles only when the value has exactly the type `T`. */
export declare function typed<T>(): <V>(value: V, ..._: Identical<T, V> extends true ? [] : [never]) => void;

type Identical<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
