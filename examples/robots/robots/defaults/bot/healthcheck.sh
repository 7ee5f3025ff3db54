#!/bin/bash
# Asks the instance at $PORT whether it is well.
exec 3<>"/dev/tcp/127.0.0.1/$PORT" || exit 1
printf 'GET /healthz HTTP/1.0\r\n\r\n' >&3
read -r -t 2 answer <&3
case "$answer" in
  *" 200 "*) exit 0 ;;
  *) echo "/healthz answered: ${answer:-nothing}"; exit 1 ;;
esac
