/** Of everyone who signs in; the superuser is called `admin`, the user `alice`, the stranger `mallory`. */
export const password = 'a-long-password'
