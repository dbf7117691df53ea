<?php

declare(strict_types=1);

require __DIR__ . '/start.php';

$api = Voxgate\Shim\ApiResponder::start();
$api->jsonSuccess(['name' => "hunter2 M\xfcller"]);
